"""The operator's life: connect, wait to lead, then watch, resync and work until a signal or the loss of the Lease."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.health import Health, HealthServer, LoopLag
from slipstream_operator.cluster.kube import Kube, KubeClient
from slipstream_operator.cluster.lease import Leadership
from slipstream_operator.cluster.queue import Key, WorkQueue
from slipstream_operator.cluster.reconciler import RESYNC_SECONDS, Reconciler
from slipstream_operator.cluster.settings import OperatorSettings, add_arguments, from_arguments
from slipstream_operator.cluster.watching import Watcher
from slipstream_operator.errors import ClusterError, MachineError, SlipstreamError

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
LEADERSHIP_LOST = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator as the command line says, and return its exit code."""
    parser = argparse.ArgumentParser(prog="slipstream operator", description="Reconcile AgentDeployments.")
    add_arguments(parser)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        return run(from_arguments(parser.parse_args(arguments)))
    except SlipstreamError as error:
        sys.stderr.write(f"slipstream operator: {error}\n")
        return error.exit_code


def run(settings: OperatorSettings) -> int:
    """Run the operator until a signal ends it, and return its exit code.

    Raises:
        MachineError: there are no credentials for a cluster, or the liveness port is taken.
    """
    return asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await KubeClient.connect()
    try:
        return await Operator(client, settings).run(stop)
    finally:
        await client.close()


class Operator:
    """One operator process."""

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._kube = kube
        self._settings = settings
        self._leadership = Leadership(kube, settings)
        self._reconciler = Reconciler(kube, settings)
        self._queue = WorkQueue(self._reconciler.reconcile)
        self._watcher = Watcher(settings, self._queue.add)
        self._lag = LoopLag()
        self._resynced_at: float | None = None

    async def run(self, stop: asyncio.Event) -> int:
        """Stand by, lead and work; return 0 when `stop` is set, or 1 when the lead is lost."""
        server = HealthServer(self.health)
        try:
            await server.start(self._settings.liveness_port)
        except OSError as error:
            raise MachineError(
                f"port {self._settings.liveness_port}: {error.strerror}; choose another with --liveness-port"
            ) from error
        lag = asyncio.create_task(self._lag.measure())
        try:
            return await self._stand_by(stop)
        finally:
            lag.cancel()
            await server.stop()
            await self._reconciler.close()

    def health(self) -> Health:
        """Return the present health."""
        now = asyncio.get_running_loop().time()
        leading = self._resynced_at is not None
        return Health(
            leading=leading,
            resync_age_seconds=now - self._resynced_at if self._resynced_at is not None else 0.0,
            queue_age_seconds=self._queue.overdue_seconds(),
            watch_age_seconds=now - self._watcher.event_at if leading else 0.0,
            watch_restarts=self._watcher.restarts,
            loop_lag_seconds=self._lag.seconds,
        )

    async def _stand_by(self, stop: asyncio.Event) -> int:
        if not await _before(stop, self._leadership.acquire()):
            return 0
        try:
            return await self._lead(stop)
        finally:
            await self._leadership.release()

    async def _lead(self, stop: asyncio.Event) -> int:
        self._watcher.start()
        resync = asyncio.create_task(self._resync())
        try:
            lost = await _before(stop, self._leadership.keep())
        finally:
            resync.cancel()
            await self._queue.stop()
            await self._watcher.stop()
        return LEADERSHIP_LOST if lost else 0

    async def _resync(self) -> None:
        """Give every AgentDeployment a turn each minute, whatever the watches do, and those that are gone one more."""
        loop = asyncio.get_running_loop()
        while True:
            self._resynced_at = loop.time()
            delay = RESYNC_SECONDS
            try:
                self._queue.add_all(await self._list())
                self._queue.add_all(self._queue.keys)
            except ClusterError as error:
                _log.warning("resync: %s", error)
                delay = RETRY_SECONDS
            await asyncio.sleep(delay)

    async def _list(self) -> list[Key]:
        scopes: Sequence[str | None] = self._settings.namespaces or (None,)
        found = [d["metadata"] for scope in scopes for d in await self._kube.list(kinds.AGENT_DEPLOYMENT, scope)]
        return [(metadata["namespace"], metadata["name"]) for metadata in found]


async def _before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Return True when the coroutine `work` ended, or False when `stop` was set first, which cancels it."""
    working: asyncio.Task[Any] = asyncio.create_task(work)
    stopping: asyncio.Task[Any] = asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, stopping):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return done
