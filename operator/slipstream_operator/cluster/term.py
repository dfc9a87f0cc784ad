"""One term of leadership: watches, resync and queue from taking the lead to losing or giving it up."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from contextlib import aclosing

from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.copied_kube import CopiedKube
from slipstream_operator.cluster.copies import place_of, version_of
from slipstream_operator.cluster.kube import ListingKube
from slipstream_operator.cluster.queue import Key, WorkQueue
from slipstream_operator.cluster.reconciler import RESYNC_SECONDS, Reconciler
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.cluster.turns import Turns
from slipstream_operator.cluster.watching import Watcher
from slipstream_operator.errors import ClusterError

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
COPIED = (*kinds.CHILDREN, kinds.POD)
"""What a turn reads of copies; it reads the AgentDeployment itself anew, and so never acts on an old spec."""


class Term:
    """What works while this process leads; a new term begins with nothing remembered."""

    def __init__(self, kube: ListingKube, settings: OperatorSettings, turns: Turns) -> None:
        self._kube = kube
        self._scopes: Sequence[str | None] = settings.namespaces or (None,)
        self._resync: asyncio.Task[None] | None = None
        self.queue = WorkQueue(lambda key: turns.timed(self.reconciler.reconcile(key)))
        self.copies = CopiedKube(kube, COPIED, self._scopes, self.queue.add_all)
        self.reconciler = Reconciler(self.copies, settings)
        self.watcher = Watcher(settings, self.queue.add)
        self.resynced_at = asyncio.get_running_loop().time()
        self.synced = False

    def begin(self) -> None:
        """Begin to watch and to work."""
        self.watcher.start()
        self.copies.begin()
        self._resync = asyncio.create_task(self._resync_forever())

    async def end(self, patience_seconds: float) -> None:
        """Stop: turns that run may take `patience_seconds` to end, none at all when another may lead by then."""
        if self._resync is not None:
            self._resync.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._resync
        await asyncio.gather(self.queue.stop(patience_seconds), self.watcher.stop())
        await self.copies.end()
        await self.reconciler.close()

    async def _resync_forever(self) -> None:
        """List all each minute, whatever the watches do, and give those a turn that have none to come."""
        while True:
            self.resynced_at = asyncio.get_running_loop().time()
            delay = RESYNC_SECONDS * (0.9 + random.random() / 5)  # noqa: S311 (no secret)
            try:
                versions = await self._versions()
                self.queue.add_unknown(versions)
                self.watcher.listed(versions)
                self.synced = True
            except ClusterError as error:
                _log.warning("resync: %s", error)
                self.watcher.listed(None)
                delay = RETRY_SECONDS
            await asyncio.sleep(delay)

    async def _versions(self) -> dict[Key, int]:
        """Return the version of each AgentDeployment; what they say is read one by one, in their turns."""
        found: dict[Key, int] = {}
        for scope in self._scopes:
            async with aclosing(self._kube.pages(kinds.AGENT_DEPLOYMENT, scope)) as pages:
                async for page in pages:
                    found |= {place_of(document): version_of(document) for document in page["items"]}
        return found
