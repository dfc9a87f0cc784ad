"""The load of `slipstream up --load`: the original against the chosen variant, then a rise and fall of real requests.

The requests are the validation set's own inputs. Both variants are first served alone, in turn, under the same closed
loop; the throughput found there sets the peak of the open-loop load that the running deployment then has to follow.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.load import LoadSecond, ServingMeasurement
from slipstream_contract.serving import ServingOptions
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import MachineError, ServingError
from slipstream_operator.local import processes
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.processes import Child
from slipstream_operator.local.replicas import free_port, listen, local_options
from slipstream_operator.scaling.samples import ReplicaSample
from slipstream_operator.scrape import Scraper

ROUNDS = 3
ROUND_SECONDS = 3
CONCURRENCY = 16
START_SECONDS = 60.0
GENERATOR_SECONDS = 0.00012
"""Processor time that the load generator itself spends on a request, measured with bodies of some ten kilobytes."""

CARRIED_SHARE = 0.7
"""How full the whole machine may become: beyond that, the figures would tell of the generator's own waiting."""

STOP_SECONDS = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class LoadSettings:
    """How hard to load: rows of one request, and the length of the whole rise and fall in seconds."""

    rows_per_request: int = 1
    seconds: int = 90


def inputs_file(spec: AgentSpec) -> Path:
    """Return the local file whose inputs make the requests.

    Raises:
        MachineError: the deployment names no validation set on this machine.
    """
    dataset = spec.validation.dataset if spec.validation else None
    uri = dataset.uri if dataset else ""
    if not uri.startswith("file:"):
        raise MachineError("--load needs spec.validation.dataset to be a file of this machine, to take requests from")
    return Path(unquote(urlparse(uri).path))


def peak_rate(alone: ServingMeasurement, processors: int) -> float:
    """Return the requests per second to rise to: more than one replica can take, less than this machine can carry.

    `alone` is what one replica did under a closed loop. The processor time of a request, the load generator's share
    included, bounds what replicas and generator can do together on `processors`.
    """
    wanted = alone.requests_per_second * min(3.0, max(1.15, 0.55 * processors))
    serving_seconds = alone.utilization / alone.requests_per_second
    return min(wanted, CARRIED_SHARE * processors / (serving_seconds + GENERATOR_SECONDS))


def ramp(peak: float, seconds: int) -> str:
    """Return the offered load as the generator's `SECOND:RATE` points: low, up to `peak`, held, down and low."""
    low = 0.15 * peak
    points = [(0, low), (0.1, low), (0.35, peak), (0.55, peak), (0.7, low), (1, low)]
    return ",".join(f"{share * seconds:.1f}:{rate:.1f}" for share, rate in points)


class Loader:
    """Runs the load generator against one deployment."""

    def __init__(self, spec: AgentSpec, folder: StateFolder, settings: LoadSettings) -> None:
        self._spec = spec
        self._folder = folder
        self._settings = settings
        self._inputs = inputs_file(spec)
        self.seconds: list[LoadSecond] = []

    async def compare(self, summary: BuildSummary, say: Say) -> tuple[ServingMeasurement, ServingMeasurement]:
        """Return the original's and the chosen variant's figures, each served alone by one replica, in turn."""
        variants = (summary.baseline or "", summary.chosen or "")
        rounds: dict[str, list[ServingMeasurement]] = {variant: [] for variant in variants}
        for number in range(ROUNDS):
            for variant, measured in rounds.items():
                say(f"measuring {variant}, round {number + 1} of {ROUNDS}")
                measured.append(await self._measure(summary, variant))
        before, after = (median_round(rounds[variant]) for variant in variants)
        return before, after

    async def rise_and_fall(self, url: str, peak: float) -> None:
        """Offer the rising and falling load to `url`, keeping each second's figures."""
        arguments = self._arguments(url, f"--schedule={ramp(peak, self._settings.seconds)}")
        child = await processes.start(arguments, self._folder.logs / "load.log", pipe=True)
        try:
            async for line in child.stdout:
                with contextlib.suppress(ContractError):
                    self.seconds.append(codec.decode_json(LoadSecond, line, "load generator"))
            if await child.wait():
                raise ServingError(f"the load generator ended: {child.last_line()}")
        finally:
            await child.stop(STOP_SECONDS)

    async def _measure(self, summary: BuildSummary, variant: str) -> ServingMeasurement:
        """Serve `variant` alone, load it in a closed loop, and return what it did."""
        listener, metrics_port = listen("127.0.0.1", 0), free_port()
        options = dataclasses.replace(
            alone(local_options(self._spec, summary, self._folder), variant),
            socket_fd=listener.fileno(),
            metrics_port=metrics_port,
        )
        port, scraper = listener.getsockname()[1], Scraper()
        replica = await self._start(options)
        listener.close()
        try:
            await _until_ready(replica, scraper, metrics_port)
            url = f"http://127.0.0.1:{metrics_port}/metrics"
            (start,) = await scraper.scrape([(variant, url)], 0.0) or (ReplicaSample(variant, 0.0),)
            totals = await self._closed_loop(f"http://127.0.0.1:{port}")
            (end,) = await scraper.scrape([(variant, url)], 1.0) or (start,)
        finally:
            await scraper.close()
            await replica.stop(STOP_SECONDS)
        busy = max(end.busy_seconds - start.busy_seconds, end.cpu_seconds - start.cpu_seconds)
        return self._measurement(variant, totals, busy)

    async def _start(self, options: ServingOptions) -> Child:
        arguments = ["slipstream_runtime", *options.to_arguments()]
        log = self._folder.logs / f"compare-{options.variant}.log"
        return await processes.start(arguments, log, pass_fds=[options.socket_fd])

    async def _closed_loop(self, url: str) -> dict[str, Any]:
        arguments = self._arguments(url, f"--concurrency={CONCURRENCY}", f"--seconds={ROUND_SECONDS}")
        child = await processes.start(arguments, self._folder.logs / "load.log", pipe=True)
        try:
            lines = [line async for line in child.stdout]
            if await child.wait() or not lines:
                raise ServingError(f"the load generator ended: {child.last_line()}")
        finally:
            await child.stop(STOP_SECONDS)
        totals: dict[str, Any] = json.loads(lines[-1])
        return totals

    def _measurement(self, variant: str, totals: dict[str, Any], busy_seconds: float) -> ServingMeasurement:
        return ServingMeasurement(
            variant=variant,
            requests=totals["requests"],
            failed=totals["failed"],
            seconds=totals["seconds"],
            rows_per_request=self._settings.rows_per_request,
            p50_milliseconds=totals["p50_milliseconds"],
            p99_milliseconds=totals["p99_milliseconds"],
            utilization=min(1.0, busy_seconds / totals["seconds"]),
        )

    def _arguments(self, url: str, *more: str) -> list[str]:
        return [
            "slipstream_runtime.load",
            f"--url={url}",
            f"--model={self._spec.name}",
            f"--inputs={self._inputs}",
            f"--token-file={self._folder.token}",
            f"--rows={self._settings.rows_per_request}",
            *more,
        ]


def alone(options: ServingOptions, variant: str) -> ServingOptions:
    """Return how a replica computes every answer with `variant`, whatever the deployment changes to meanwhile."""
    return dataclasses.replace(options, variant=variant, variant_file="", cache_bytes=0)


def median_round(rounds: list[ServingMeasurement]) -> ServingMeasurement:
    """Return the round of median throughput."""
    return sorted(rounds, key=lambda r: r.requests_per_second)[len(rounds) // 2]


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def _until_ready(replica: Child, scraper: Scraper, metrics_port: int) -> None:
    """Return when the replica answers its readiness probe.

    Raises:
        ServingError: it ended or took too long.
    """
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not await scraper.answers(f"http://127.0.0.1:{metrics_port}/readyz"):
        if replica.returncode is not None or asyncio.get_running_loop().time() > deadline:
            raise ServingError(f"the replica to measure did not start: {replica.last_line()}")
        await asyncio.sleep(0.1)
