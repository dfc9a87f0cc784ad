"""One term of leadership: watches, resync and queue from taking the lead to losing or giving it up."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.kube import Kube
from slipstream_operator.cluster.queue import Key, WorkQueue
from slipstream_operator.cluster.reconciler import RESYNC_SECONDS, Reconciler
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.cluster.turns import Turns
from slipstream_operator.cluster.watching import Watcher
from slipstream_operator.errors import ClusterError

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


class Term:
    """What works while this process leads; a new term begins with nothing remembered."""

    def __init__(self, kube: Kube, settings: OperatorSettings, turns: Turns) -> None:
        self._kube = kube
        self._settings = settings
        self.reconciler = Reconciler(kube, settings)
        self._resync: asyncio.Task[None] | None = None
        self.queue = WorkQueue(lambda key: turns.timed(self.reconciler.reconcile(key)))
        self.watcher = Watcher(settings, self.queue.add)
        self.resynced_at = asyncio.get_running_loop().time()

    def begin(self) -> None:
        """Begin to watch and to work."""
        self.watcher.start()
        self._resync = asyncio.create_task(self._resync_forever())

    async def end(self, patience_seconds: float) -> None:
        """Stop: turns that run may take `patience_seconds` to end, none at all when another may lead by then."""
        if self._resync is not None:
            self._resync.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._resync
        await self.queue.stop(patience_seconds)
        await self.watcher.stop()
        await self.reconciler.close()

    async def _resync_forever(self) -> None:
        """Give every AgentDeployment a turn each minute, whatever the watches do, and those that are gone one more."""
        while True:
            self.resynced_at = asyncio.get_running_loop().time()
            delay = RESYNC_SECONDS
            try:
                self.queue.add_all(await self._list())
                self.queue.add_all(self.queue.keys)
            except ClusterError as error:
                _log.warning("resync: %s", error)
                delay = RETRY_SECONDS
            await asyncio.sleep(delay)

    async def _list(self) -> list[Key]:
        scopes: Sequence[str | None] = self._settings.namespaces or (None,)
        found = [d["metadata"] for scope in scopes for d in await self._kube.list(kinds.AGENT_DEPLOYMENT, scope)]
        return [(metadata["namespace"], metadata["name"]) for metadata in found]
