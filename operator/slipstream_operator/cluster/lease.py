"""Leadership by a Lease: of several operators one acts, and another takes over when its renewals stop.

How long a holder has been silent is measured by our own clock, from when we last saw its Lease change, so that
machines with different clocks agree.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.errors import ClusterError

Document = dict[str, Any]

_log = logging.getLogger(__name__)

DURATION_SECONDS = 15.0
RENEW_SECONDS = 2.0
GIVE_UP_SECONDS = 10.0
"""A leader that could not renew for this long stops: well before another may take over."""


@dataclass(frozen=True)
class Sight:
    """A Lease as we see it: its version, and since when it has been that version."""

    version: str = ""
    since: float = float("-inf")

    def seen(self, lease: Document, now: float) -> "Sight":
        """Return the sight of `lease` at the time `now` (seconds)."""
        version = lease["metadata"]["resourceVersion"]
        return self if version == self.version else replace(self, version=version, since=now)


def may_take(lease: Document, sight: Sight, identity: str, now: float) -> bool:
    """Return whether the Lease is ours, free, or held by one that is silent for longer than it promised."""
    spec = lease.get("spec", {})
    holder = spec.get("holderIdentity") or ""
    if holder in ("", identity):
        return True
    return now - sight.since > float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)


def held(lease: Document, identity: str, now: datetime) -> Document:
    """Return the Lease as held by `identity` from `now` on."""
    before = lease.get("spec", {})
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    changed = before.get("holderIdentity") != identity
    spec = {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(DURATION_SECONDS),
        "acquireTime": stamp if changed else before.get("acquireTime", stamp),
        "renewTime": stamp,
        "leaseTransitions": (before.get("leaseTransitions") or 0) + changed,
    }
    return {**lease, "spec": spec}


class Leadership:
    """One process's part in the election."""

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._kube = kube
        self._settings = settings
        self._sight = Sight()

    async def acquire(self) -> None:
        """Return when this process leads."""
        waits = False
        while not await self._attempt():
            if not waits:
                waits = True
                _log.info("standing by: another operator holds lease %s", self._settings.lease_name)
            await asyncio.sleep(RENEW_SECONDS)
        _log.info("leading as %s", self._settings.identity)

    async def keep(self) -> None:
        """Renew the Lease; return when it is lost or could not be renewed for 10 s."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while loop.time() - renewed_at < GIVE_UP_SECONDS:
            await asyncio.sleep(RENEW_SECONDS)
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it takes no notice of being cancelled as the answer comes.
                async with asyncio.timeout(GIVE_UP_SECONDS / 2):
                    if await self._attempt():
                        renewed_at = loop.time()
        _log.error("lease %s could not be renewed for %.0f s", self._settings.lease_name, GIVE_UP_SECONDS)

    async def release(self) -> None:
        """Let another operator take over at once."""
        with contextlib.suppress(ClusterError):
            lease = await self._get()
            if lease is not None and lease["spec"].get("holderIdentity") == self._settings.identity:
                await self._kube.replace(kinds.LEASE, {**lease, "spec": {**lease["spec"], "holderIdentity": ""}})

    async def _attempt(self) -> bool:
        """Take or renew the Lease; return whether we hold it."""
        now = asyncio.get_running_loop().time()
        try:
            lease = await self._get()
            if lease is None:
                await self._kube.create(kinds.LEASE, held(self._new(), self._settings.identity, datetime.now(UTC)))
                return True
            self._sight = self._sight.seen(lease, now)
            if not may_take(lease, self._sight, self._settings.identity, now):
                return False
            await self._kube.replace(kinds.LEASE, held(lease, self._settings.identity, datetime.now(UTC)))
        except ClusterError as error:
            if error.status != CONFLICT:
                _log.warning("lease %s: %s", self._settings.lease_name, error)
            return False
        return True

    async def _get(self) -> Document | None:
        return await self._kube.get(kinds.LEASE, self._settings.lease_namespace, self._settings.lease_name)

    def _new(self) -> Document:
        metadata = {"name": self._settings.lease_name, "namespace": self._settings.lease_namespace}
        return {"apiVersion": kinds.LEASE.api_version, "kind": kinds.LEASE.kind, "metadata": metadata}
