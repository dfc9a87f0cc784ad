"""Starts the workers, watches them, starts those again that die, and stops them together."""

import asyncio
import dataclasses
import logging
import os
import signal

from slipstream_contract.processes import Plan
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError
from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.listener import Listener
from slipstream_runtime.rest.ports import Ports
from slipstream_runtime.rest.probes import Probes
from slipstream_runtime.workers import member
from slipstream_runtime.workers.fleet import Fleet
from slipstream_runtime.workers.member import Member

logger = logging.getLogger(__name__)

RESTART_SECONDS = (0.2, 1.0, 2.0, 5.0)
"""Pauses before a worker is started again, longer with every death that follows soon."""

FORGIVEN_SECONDS = 60.0
"""A death so long ago counts no more."""

MARGIN_SECONDS = 2.0
"""What a worker may take beyond the drain's limit to end."""

POLL_SECONDS = 1.0


class Supervisor:
    """A replica of several processes."""

    def __init__(self, options: ServingOptions, plan: Plan, ports: Ports) -> None:
        own = dataclasses.replace(
            options,
            processes=plan.processes,  # so that each takes its share of the memory only
            threads=plan.threads,
            cache_bytes=options.cache_bytes // plan.processes,
        )
        self._arguments = own.to_arguments()
        self._options = options
        self._plan = plan
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._fleet = Fleet(plan.processes, self._loop.time)
        self._tether = os.pipe()
        self._deaths: list[float] = []
        self._ends: set[asyncio.Task[None]] = set()
        self._stop: asyncio.Future[int] = self._loop.create_future()
        """Done with the exit code when the replica is to stop."""

    async def run(self) -> int:
        """Serve until a signal or a failure; return the exit code.

        Raises:
            StartError: a worker cannot start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled)
        probes = Probes(self._fleet, self._fleet.metrics)
        if self._ports.metrics is None:
            raise StartError("--metrics-port: a replica of several processes needs one")
        listener = Listener(probes.route, self._ports.metrics, Limits(connections=256))
        listener.start()
        polling = self._loop.create_task(self._poll())
        try:
            await self._start()
            code = await self._stop
            return await self._drain() or code
        finally:
            polling.cancel()
            for one in self._fleet.members:
                one.signal(signal.SIGKILL)
            await asyncio.gather(*self._ends)
            listener.stop_accepting()

    async def _start(self) -> None:
        for _ in range(self._plan.processes):
            self._add()
        starts = asyncio.gather(*(one.started for one in self._fleet.members))
        await asyncio.wait((starts, self._stop), return_when=asyncio.FIRST_COMPLETED)
        if self._stop.done():
            return  # the workers still tell how their start went, which nobody asks any more
        for problem in starts.result():
            if problem is not None:
                raise StartError(problem)
        await self._fleet.ask()
        self._fleet.serving = True
        logger.info(
            "ready: model %s variant %s on port %d, metrics on port %d, %d processes%s",
            self._options.model,
            self._options.variant,
            self._ports.infer.getsockname()[1],
            self._ports.metrics.getsockname()[1] if self._ports.metrics else 0,
            self._plan.processes,
            f", gRPC on port {self._ports.grpc.getsockname()[1]}" if self._ports.grpc else "",
        )

    def _add(self) -> None:
        own = self._ports.again()
        one = member.start(self._arguments, self._tether[0], (own.infer, own.grpc))
        own.close_serving()  # only the worker has them now, so that callers go to others as soon as it dies
        self._fleet.members.append(one)
        task = self._loop.create_task(self._attend(one))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _attend(self, one: Member) -> None:
        """Stay with a worker to its end, and start another if it should not have ended."""
        code = await one.attend()
        self._fleet.bury(one)
        if not self._fleet.serving or self._stop.done():
            return
        now = self._loop.time()
        self._deaths = [at for at in self._deaths if now - at < FORGIVEN_SECONDS] + [now]
        if len(self._deaths) > len(RESTART_SECONDS):
            logger.error("worker %d ended (%s), too often to go on; stopping", one.process.pid, code)
            self._stop.set_result(1)
            return
        delay = RESTART_SECONDS[len(self._deaths) - 1]
        logger.error("worker %d ended (%s); starting another in %g s", one.process.pid, code, delay)
        await asyncio.wait((self._stop,), timeout=delay)
        if not self._stop.done():
            self._fleet.restarts += 1
            self._add()

    async def _poll(self) -> None:
        """Keep health, and what a worker would take with it if it died, up to date."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._fleet.ask()

    def _signalled(self) -> None:
        """Stop in order at the first signal, at once at the second."""
        if not self._stop.done():
            self._stop.set_result(0)
            return
        for one in self._fleet.members:
            one.signal(signal.SIGKILL)

    async def _drain(self) -> int:
        """Let all workers finish what they accepted; return 0 if they did."""
        logger.info("stopping: finishing what was accepted")
        self._fleet.draining = True
        self._ports.close_serving()
        members = list(self._fleet.members)
        for one in members:
            one.signal(signal.SIGTERM)
        if self._ends:
            await asyncio.wait(self._ends, timeout=self._options.drain_seconds + MARGIN_SECONDS)
        unfinished = [one for one in members if one.process.poll() is None]
        if unfinished:
            logger.warning("ending %d workers that did not stop in time", len(unfinished))
        return 1 if unfinished or any(one.process.poll() for one in members) else 0


def supervise(options: ServingOptions, plan: Plan, ports: Ports) -> int:
    """Serve with several processes until a signal or a failure; return the exit code.

    Raises:
        StartError: a worker cannot start.
    """

    async def run() -> int:
        return await Supervisor(options, plan, ports).run()

    return asyncio.run(run())
