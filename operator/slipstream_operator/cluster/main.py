"""The operator's life: connect, wait to lead, work for a term, stand by again if the lead is lost, end on a signal."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from slipstream_operator.cluster.front import Front
from slipstream_operator.cluster.health import Health, LoopLag
from slipstream_operator.cluster.kube import KubeClient, ListingKube
from slipstream_operator.cluster.lease import Leadership
from slipstream_operator.cluster.settings import OperatorSettings, add_arguments, from_arguments
from slipstream_operator.cluster.term import Term
from slipstream_operator.cluster.turns import Turns
from slipstream_operator.errors import SlipstreamError

_log = logging.getLogger(__name__)

STOP_SECONDS = 10.0


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
        MachineError: there are no credentials for a cluster, the liveness port is taken, or its certificate is no good.
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
    """One operator process: stands by and leads in turn."""

    def __init__(self, kube: ListingKube, settings: OperatorSettings) -> None:
        self._kube = kube
        self._settings = settings
        self._leadership = Leadership(kube, settings)
        self._lag = LoopLag()
        self._turns = Turns()
        self._term: Term | None = None

    async def run(self, stop: asyncio.Event) -> int:
        """Stand by, lead and work until `stop` is set, and return 0.

        Raises:
            MachineError: the liveness port is taken, or its certificate cannot be used.
        """
        front = Front(self._kube, self._settings, self.health, self._readiness, self._turns)
        await front.start()
        lag = asyncio.create_task(self._lag.measure())
        try:
            while not stop.is_set():
                await self._serve_a_term(stop)
            return 0
        finally:
            lag.cancel()
            await front.stop()

    def health(self) -> Health:
        """Return the present health."""
        now, term = asyncio.get_running_loop().time(), self._term
        return Health(
            leading=term is not None,
            resync_age_seconds=now - term.resynced_at if term else 0.0,
            queue_age_seconds=term.queue.overdue_seconds() if term else 0.0,
            watch_age_seconds=max(term.watcher.stuck_seconds, term.copies.stuck_seconds) if term else 0.0,
            watch_restarts=term.watcher.restarts if term else 0,
            loop_lag_seconds=self._lag.seconds,
            ready=term is None or term.synced,
        )

    def _readiness(self) -> Mapping[str, int]:
        return self._term.reconciler.readiness() if self._term else {}

    async def _serve_a_term(self, stop: asyncio.Event) -> None:
        if not await _before(stop, self._leadership.acquire()):
            return
        self._term = Term(self._kube, self._settings, self._turns)
        self._term.begin()
        lost = True
        try:
            lost = await _before(stop, self._leadership.keep())
        finally:
            term, self._term = self._term, None
            await term.end(0.0 if lost else STOP_SECONDS)
        await self._leadership.release()


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
