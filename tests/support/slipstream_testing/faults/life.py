"""A full life of one AgentDeployment in stages, each with its own fault, each compared with an undisturbed life."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipstream_testing.api import ApiError
from slipstream_testing.credentials import write_kubeconfig
from slipstream_testing.faults.mirror import Mirror, path_of
from slipstream_testing.faults.node import Node
from slipstream_testing.faults.proxy import FaultProxy
from slipstream_testing.faults.snapshot import Snapshot, differences, snapshot
from slipstream_testing.faults.strikes import Strike
from slipstream_testing.faults.wire import Wire
from slipstream_testing.faults.zygote import Zygote
from slipstream_testing.manifests import agent_deployment

NAME = "agent"
STAGES = ("create", "build", "serve", "scale", "update", "roll back", "delete")
"""In `create` the operator starts too; `build` ends with a Deployment, and `serve` with a ready replica."""

STAGE_SECONDS = 70.0
"""More than the minute of a resync: what takes longer will never come."""

QUIET_SECONDS = 2.5
"""An undisturbed stage is over when nothing was written or changed for so long: two ticks and more."""

REST_SECONDS = 10.0
"""A life that has reached its state must be quiet before this is over."""

_OTHER = {"uri": "pvc://models/recommender.onnx", "sha256": "f" * 64}
_FEW = {"minReplicas": 1, "maxReplicas": 3}
_MORE = {"minReplicas": 2, "maxReplicas": 3}
_SPECS: dict[str, dict[str, Any]] = {
    "create": {"scaling": _FEW},
    "scale": {"scaling": _MORE},
    "update": {"scaling": _MORE, "model": _OTHER},
    "roll back": {"scaling": _MORE},
}
_ALLOWED = {"create": (), "build": ("builder",)}


@dataclass(frozen=True)
class Place:
    """Where lives happen: the cluster, the process that forks operators, a namespace with the operator's rights."""

    wire: Wire
    mirror: Mirror
    node: Node
    zygote: Zygote
    namespace: str
    folder: Path
    token: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """How one stage went.

    `seconds` is the time from the end of the fault to the stage's end state, which holds the stage's own work too;
    `calls` counts all calls of the stage and `after` those since the fault ended. `differences` is empty when the
    stage reached the undisturbed state.
    """

    stage: str
    strike: Strike | None
    struck: bool
    hit: str
    seconds: float
    calls: int
    events: int
    after: int
    differences: tuple[str, ...] = ()
    log: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Reference:
    """An undisturbed life: the state after each stage, its calls and events, and how many Jobs it had."""

    states: Mapping[str, Snapshot]
    calls: Mapping[str, int]
    events: Mapping[str, int]
    jobs: int


class Life:
    """One life at one place, from an empty namespace to an empty namespace."""

    def __init__(self, place: Place) -> None:
        """Nothing runs yet."""
        self._place = place
        self._proxy = FaultProxy(place.wire, self._restart)
        self._pid: int | None = None
        self._path = path_of("agentdeployments", place.namespace, NAME)
        self._restarts: set[asyncio.Task[None]] = set()
        self._jobs_before = place.mirror.ever_seen(place.namespace, "jobs")

    async def reference(self) -> Reference:
        """Live undisturbed."""
        states: dict[str, Snapshot] = {}
        calls: dict[str, int] = {}
        events: dict[str, int] = {}
        async with self._proxy:
            for stage in STAGES:
                self._proxy.arm(None)
                await self._begin(stage)
                await self._quiet()
                states[stage] = self._seen()
                calls[stage], events[stage] = self._proxy.calls, self._proxy.events
            await self._die()
        return Reference(states, calls, events, self._jobs())

    async def live(self, strikes: Mapping[str, Strike], reference: Reference) -> list[Trial]:
        """Live with the strikes of each stage; a stage that does not reach its state is the last but the deletion."""
        trials = []
        async with self._proxy:
            for stage in STAGES:
                trial = await self._stage(stage, strikes.get(stage), reference)
                trials.append(trial)
                if trial.differences:
                    await self._begin("delete")
                    break
            jobs = self._jobs()
            if not trials[-1].differences and jobs != reference.jobs:
                words = f"{jobs} Jobs were created, {reference.jobs} undisturbed"
                trials.append(Trial("all", None, False, "", 0.0, 0, 0, 0, (words,)))
            await self._end_all()
        await self._place.mirror.until(self._place.namespace, self._empty, STAGE_SECONDS)
        return trials

    async def _stage(self, stage: str, strike: Strike | None, reference: Reference) -> Trial:
        proxy, wanted = self._proxy, reference.states[stage]
        awaited = strike is not None and not strike.on_events  # calls go on for ever, events need not
        proxy.arm(strike)
        began = time.monotonic()
        await self._begin(stage)

        def over() -> bool:
            return self._seen() == wanted and (proxy.ended_at is not None or not (awaited or proxy.struck))

        same = await self._place.mirror.until(self._place.namespace, over, STAGE_SECONDS)
        seconds, after = time.monotonic() - (proxy.ended_at or began), proxy.after
        found = () if same else tuple(differences(wanted, self._seen()))
        if same and stage in ("roll back", "delete"):
            found = await self._at_rest(wanted)
        log = tuple(proxy.log) if found else ()
        return Trial(
            stage, strike, proxy.struck, proxy.hit, seconds, proxy.calls, proxy.events, after, found or (), log
        )

    async def _begin(self, stage: str) -> None:
        place = self._place
        place.node.allow(place.namespace, *_ALLOWED.get(stage, ("builder", "runtime")))
        if stage == "create":
            await self._start()
        if stage in _SPECS:
            document = agent_deployment(NAME, **_SPECS[stage])
            document["metadata"]["namespace"] = place.namespace
            await place.wire.apply(self._path, document)
        if stage == "delete":
            await self._delete()

    async def _delete(self) -> None:
        try:
            await self._place.wire.call("DELETE", self._path, propagationPolicy="Background")
        except ApiError as error:
            if error.status != 404:
                raise

    async def _quiet(self) -> None:
        """Return when neither the operator nor anyone else has changed anything for a while."""
        place = self._place

        def last() -> float:
            return max(self._proxy.wrote_at, place.mirror.changed_at[place.namespace])

        left = QUIET_SECONDS
        while left > 0:
            await asyncio.sleep(left)  # that nothing happens for a while has no event
            left = last() + QUIET_SECONDS - time.monotonic()

    async def _at_rest(self, wanted: Snapshot) -> tuple[str, ...]:
        """Return what still changes in a life that has reached its state."""
        try:
            await asyncio.wait_for(self._quiet(), REST_SECONDS)
        except TimeoutError:
            return ("it still writes although all is as it should be",)
        return tuple(differences(wanted, self._seen()))

    def _seen(self) -> Snapshot:
        place = self._place
        return snapshot(lambda plural: place.mirror.found(place.namespace, plural), NAME, place.namespace)

    def _jobs(self) -> int:
        """Return how many Jobs this life has had, those that are gone included."""
        return self._place.mirror.ever_seen(self._place.namespace, "jobs") - self._jobs_before

    def _empty(self) -> bool:
        return not any(self._seen().values())

    async def _start(self) -> None:
        place = self._place
        kubeconfig = place.folder / f"{place.namespace}.kubeconfig"
        write_kubeconfig(kubeconfig, self._proxy.url, None, place.token)
        self._pid = await place.zygote.start(place.folder / f"{place.namespace}.log", kubeconfig, list(place.flags))

    async def _die(self) -> None:
        if self._pid is not None:
            pid, self._pid = self._pid, None
            await self._place.zygote.kill(pid)

    async def _restart(self) -> None:
        """Kill the operator and start another one; the call that is struck ends with the former, this goes on."""
        task = asyncio.create_task(self._replace())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)
        await asyncio.shield(task)

    async def _replace(self) -> None:
        await self._die()
        await self._start()

    async def _end_all(self) -> None:
        await asyncio.gather(*self._restarts)
        await self._die()
