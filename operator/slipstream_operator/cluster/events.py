"""Posts events: the same words are one event that counts, and one reason cannot flood."""

import hashlib
import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from slipstream_contract import names
from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.children.metadata import Owner
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.errors import ClusterError
from slipstream_operator.reconcile.desired import Event

Document = dict[str, Any]

_log = logging.getLogger(__name__)

BURST = 8
REFILL_SECONDS = 30.0
REMEMBERED = 4096


class Allowance:
    """How many events of one reason an object may still post: a burst of 8, then one in 30 s."""

    def __init__(self) -> None:
        self._used: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, uid: str, reason: str, now: float) -> bool:
        """Return whether one more event is allowed at the time `now` (seconds), and count it."""
        used, at = self._used.pop((uid, reason), (0.0, now))
        used = max(0.0, used - (now - at) / REFILL_SECONDS)
        allowed = used <= BURST - 1
        self._used[uid, reason] = (used + allowed, now)
        while len(self._used) > REMEMBERED:
            self._used.popitem(last=False)
        return allowed


class Events:
    """Posts the events of all AgentDeployments; a failure is logged, for events are hints."""

    def __init__(self, kube: Kube, identity: str) -> None:
        self._kube = kube
        self._identity = identity
        self._allowance = Allowance()

    async def post(self, owner: Owner, event: Event) -> None:
        """Post `event` about the AgentDeployment `owner`."""
        if not self._allowance.take(owner.uid, event.reason, time.monotonic()):
            return
        try:
            await self._post(document(owner, event, self._identity, datetime.now(UTC)))
        except ClusterError as error:
            _log.warning("%s/%s: event %s was not posted: %s", owner.namespace, owner.name, event.reason, error)

    async def _post(self, event: Document) -> None:
        try:
            await self._kube.create(kinds.EVENT, event)
        except ClusterError as error:
            if error.status != CONFLICT:
                raise
            await self._count(event)

    async def _count(self, event: Document) -> None:
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        before = await self._kube.get(kinds.EVENT, namespace, name)
        count = (before.get("count") or 1) + 1 if before else 1
        await self._kube.merge(kinds.EVENT, namespace, name, {"count": count, "lastTimestamp": event["lastTimestamp"]})


def document(owner: Owner, event: Event, identity: str, now: datetime) -> Document:
    """Return the API's form of the event; its name is a digest of what it says, so that a repetition meets it."""
    said = "\n".join((owner.uid, event.type, event.reason, event.message))
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": owner.namespace,
            "name": f"{owner.name}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
        },
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1024],
        "count": 1,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": {"component": names.FIELD_MANAGER, "host": identity},
        "reportingComponent": names.FIELD_MANAGER,
        "reportingInstance": identity,
    }
