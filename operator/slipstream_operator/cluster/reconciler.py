"""One key's turn: read, plan, apply, tell. Whatever goes wrong is told in the status and tried again."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from slipstream_operator.api import conditions, schema
from slipstream_operator.api import spec as api_spec
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.children.metadata import Owner
from slipstream_operator.cluster.events import Events
from slipstream_operator.cluster.kube import Kube
from slipstream_operator.cluster.pacing import Fleet
from slipstream_operator.cluster.queue import Key
from slipstream_operator.cluster.refusal import refusal_event, refusal_status, was_accepted
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.cluster.status_writer import StatusWriter, owner_of
from slipstream_operator.cluster.world import ClusterWorld
from slipstream_operator.errors import ClusterError, ManifestError
from slipstream_operator.reconcile.desired import Desired, Event
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.plan import plan
from slipstream_operator.scrape import Scraper

Document = dict[str, Any]

RESYNC_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass
class _Known:
    """What is remembered of one AgentDeployment; losing it costs only patience."""

    uid: str
    writer: StatusWriter
    memory: Memory = field(default_factory=Memory)
    generation: int = -1
    spec: AgentSpec | None = None
    ready: str = "Unknown"

    async def tell(self, live: Document, status: Document, now: float) -> None:
        """Write the status, and keep what it says of readiness."""
        found = (c["status"] for c in status.get("conditions", []) if c["type"] == conditions.READY)
        self.ready = next(found, "Unknown")
        await self.writer.write(live, status, now)


class Reconciler:
    """Reconciles AgentDeployments, each in turns that never overlap."""

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._kube = kube
        self._settings = settings
        self._events = Events(kube, settings.identity)
        self._scraper = Scraper()
        self._known: dict[Key, _Known] = {}
        self._fleet = Fleet()

    async def reconcile(self, key: Key) -> float | None:
        """Do one turn of `key`; return after how many seconds it wants another, or None when it is gone.

        Raises:
            ClusterError: something could not be brought about; the turn is to be repeated.
        """
        live = await self._kube.get(kinds.AGENT_DEPLOYMENT, *key)
        if live is None or "deletionTimestamp" in live["metadata"]:
            self._known.pop(key, None)
            self._fleet.forget(key)
            return None
        known = self._remember(key, live)
        try:
            spec = _spec(known, live)
        except ManifestError as error:
            await self._refuse(known, live, str(error))
            return RESYNC_SECONDS
        world = ClusterWorld(self._kube, self._settings, self._scraper, owner_of(live), spec, live)
        return await self._act(key, known, world)

    def readiness(self) -> Counter[str]:
        """Return how many AgentDeployments there are by the status of their condition Ready."""
        return Counter(known.ready for known in self._known.values())

    async def close(self) -> None:
        """Close the connections to replicas."""
        await self._scraper.close()

    def _remember(self, key: Key, live: Document) -> _Known:
        uid = live["metadata"]["uid"]
        if key not in self._known or self._known[key].uid != uid:
            self._known[key] = _Known(uid, StatusWriter(self._kube))
        return self._known[key]

    async def _act(self, key: Key, known: _Known, world: ClusterWorld) -> float:
        now, timestamp = time.monotonic(), _timestamp()
        observation = await world.observe(now)
        planned = plan(observation, known.memory, self._settings.tuning, now, timestamp)
        desired, trouble = planned.desired, None
        try:
            await world.apply(desired)
        except ClusterError as error:
            trouble = error
            troubled = replace(observation, trouble=str(error))
            desired = plan(troubled, known.memory, self._settings.tuning, now, timestamp).desired
        known.memory = planned.memory
        self._fleet.note(key, len(observation.replicas), planned.traffic.requests_per_second > 0)
        await self._tell(known, world, desired, trouble, now)
        if trouble is not None:
            raise trouble
        return self._delay(key, desired)

    async def _tell(
        self, known: _Known, world: ClusterWorld, desired: Desired, trouble: ClusterError | None, now: float
    ) -> None:
        troubles = (Event("Warning", conditions.APPLY_FAILED, str(trouble)),) if trouble is not None else ()
        for event in (*troubles, *desired.events):
            await self._events.post(world.owner, event)
        await known.tell(world.live, desired.status, now)

    async def _refuse(self, known: _Known, live: Document, problem: str) -> None:
        owner: Owner = owner_of(live)
        _log.warning("%s/%s: %s", owner.namespace, owner.name, problem)
        status = refusal_status(live, problem, _timestamp())
        if status != live.get("status", {}):
            await self._events.post(owner, refusal_event(problem))
        await known.tell(live, status, time.monotonic())

    def _delay(self, key: Key, desired: Desired) -> float:
        serves = desired.serving is not None and desired.serving.replicas > 0
        return self._fleet.tick(key, self._settings.tick_seconds) if serves else RESYNC_SECONDS


def _spec(known: _Known, live: Document) -> AgentSpec:
    """Return the parsed spec, made once a generation.

    Rules are evaluated once in a generation's life, for that takes 50 ms: a thousand AgentDeployments would keep an
    operator that starts busy for a minute, and a newer operator's rules must not refuse what already serves.
    """
    generation = live["metadata"]["generation"]
    if known.spec is None or known.generation != generation:
        bare = {key: value for key, value in live.items() if key != "status"}
        known.spec, known.generation = api_spec.parse(schema.validate(bare, accepted=was_accepted(live))), generation
    return known.spec


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
