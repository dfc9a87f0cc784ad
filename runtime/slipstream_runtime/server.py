"""Puts one process of a replica together, serves until a signal, and drains."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from slipstream_contract.processes import LOOP_SECONDS
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.batching.batcher import Batcher, BatchRules
from slipstream_runtime.batching.policy import MAX_ROWS
from slipstream_runtime.batching.runners import LoopRunner, Runner, ThreadRunner
from slipstream_runtime.caching.opening import Caches, open_caches
from slipstream_runtime.callers.gate import Gate
from slipstream_runtime.callers.opening import open_gate
from slipstream_runtime.model.artifact import read_manifest
from slipstream_runtime.model.naming import VariantFile
from slipstream_runtime.model.switching import Switch
from slipstream_runtime.model.variants import ModelSet, load_models
from slipstream_runtime.observing import families, triton
from slipstream_runtime.observing.collector import Collector, Identity
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.lag import LagProbe
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.observing.tracing import Tracer, open_tracer
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.rest.aside import SWITCH_SECONDS, Aside
from slipstream_runtime.rest.bridge import App
from slipstream_runtime.rest.infer import Pages
from slipstream_runtime.rest.infer_exchange import Desk
from slipstream_runtime.rest.late import LateApp
from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.listener import Listener
from slipstream_runtime.rest.pages.served import Served
from slipstream_runtime.rest.ports import Ports
from slipstream_runtime.rest.probes import Probes
from slipstream_runtime.rest.sockets import allow_descriptors

if TYPE_CHECKING:
    from slipstream_runtime.rpc.listener import Listener as RpcListener

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""A connection is taken to have no request on the wire after so long a silence."""

LATECOMER_SECONDS = 1.0
"""New connections are still taken for so long after the signal: not everyone has heard yet that the replica stops."""

COLLECT_EVERY = 10_000
"""Containers made between two garbage collections: requests leave no cycles behind, so that each finds nothing."""

SPARE_DESCRIPTORS = 512
"""Open files besides the connections: those being refused, of the model, of the metrics."""

KILLED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Prepared:
    """A replica that has passed its self-check, with its sockets bound."""

    options: ServingOptions
    models: ModelSet
    gate: Gate
    ports: Ports


@dataclass(frozen=True)
class Replica:
    """The running parts."""

    health: Health
    collector: Collector
    runner: Runner
    lag: LagProbe
    caches: Caches | None
    tracer: Tracer | None
    named: VariantFile | None
    infer: Listener
    grpc: "RpcListener | None"
    metrics: Listener | None


@dataclass(frozen=True)
class _Core:
    """What every transport needs."""

    telemetry: Telemetry
    health: Health
    batcher: Batcher
    plane: DataPlane
    collector: Collector


Announce = Callable[[Replica], object]
"""Told once, when the replica is ready."""


def prepare(options: ServingOptions, ports: Ports) -> Prepared:
    """Load, verify, warm up and measure.

    Raises:
        StartError: any of it failed; the message names the file or option.
    """
    gate = open_gate(options)
    return Prepared(options, load_models(options, options.threads), gate, ports)


def run(prepared: Prepared, announce: Announce | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(prepared, announce or (lambda _replica: _announce(prepared))))


async def _serve(prepared: Prepared, announce: Announce) -> None:
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            os._exit(KILLED)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    replica = _assemble(prepared)
    await _start(replica, prepared)
    announcing = announce(replica)
    await stop.wait()
    await _drain(replica, prepared.options.drain_seconds, shared=prepared.ports.shared)
    del announcing  # kept until here: it may be a task
    await _close(replica, prepared)


async def _start(replica: Replica, prepared: Prepared) -> None:
    prepared.gate.start()
    if replica.caches is not None:
        replica.caches.start()
    if replica.named is not None:
        replica.named.start()
    if replica.metrics is not None:
        replica.metrics.start()
    replica.lag.start()
    gc.collect()
    gc.freeze()  # what start-up made is looked at by no later collection
    gc.set_threshold(COLLECT_EVERY)
    sys.setswitchinterval(SWITCH_SECONDS)
    allow_descriptors(prepared.options.max_connections + SPARE_DESCRIPTORS)
    replica.infer.start()
    if replica.grpc is not None:
        await replica.grpc.start()
    replica.collector.start_seconds = _age_seconds()
    replica.health.serving = True


def _assemble(prepared: Prepared) -> Replica:
    options, models, ports = prepared.options, prepared.models, prepared.ports
    telemetry = Telemetry(options.objective_milliseconds / 1000)
    runner = _runner(models)
    batcher = _batcher(prepared, runner, telemetry)
    health = Health(lambda: batcher.running_seconds, lambda: models.exhausted)
    caches = open_caches(options, models.digest, models.signature, telemetry, batcher.predicted_wait)
    answers = caches.answers if caches else None
    plane = DataPlane(models.signature, batcher, answers, telemetry, options.objective_milliseconds / 1000)
    identity = Identity(options.model, models.digest, models.current.name)
    aliases = triton.aliases if options.metrics_aliases else None
    collector = Collector(telemetry, batcher, identity, aliases)
    core = _Core(telemetry, health, batcher, plane, collector)
    tracer = open_tracer(options.model)
    return Replica(
        health,
        collector,
        runner,
        LagProbe(telemetry.loop_lag),
        caches,
        tracer,
        _named(prepared, batcher, caches, identity),
        _infer(prepared, core, caches, tracer),
        _grpc(prepared, core, tracer),
        _metrics(health, collector, ports),
    )


def _batcher(prepared: Prepared, runner: Runner, telemetry: Telemetry) -> Batcher:
    options, first = prepared.options, prepared.models.current
    rules = BatchRules(
        objective_seconds=options.objective_milliseconds / 1000,
        cap=options.max_batch or MAX_ROWS,
        delay_seconds=options.max_delay_milliseconds / 1000,
        batched=prepared.models.signature.batched,
    )
    return Batcher(first.run, first.line, first.name, rules, runner, telemetry, largest=first.largest)


def _runner(models: ModelSet) -> Runner:
    """Return a thread, unless every variant is so cheap that a hand-over costs more than the loop standing still."""
    if models.loaded == models.names and all(models.get(name).line.seconds(1) < LOOP_SECONDS for name in models.loaded):
        return LoopRunner()
    return ThreadRunner(asyncio.get_running_loop())


def _named(prepared: Prepared, batcher: Batcher, caches: Caches | None, identity: Identity) -> VariantFile | None:
    if not prepared.options.variant_file:
        return None

    def switched(name: str) -> None:
        identity.variant = name
        if caches is not None:
            caches.switch(name)

    switch = Switch(prepared.models, batcher.switch, switched)
    return VariantFile(Path(prepared.options.variant_file), switch.to)


def _infer(prepared: Prepared, core: _Core, caches: Caches | None, tracer: Tracer | None) -> Listener:
    options, models = prepared.options, prepared.models

    def api() -> App:
        from slipstream_runtime.rest.api import build_api  # noqa: PLC0415  # FastAPI: 25 MiB and 0.4 s, if asked for

        manifest, digest = read_manifest(Path(options.artifact))
        keys = options.authentication != "none"
        served = Served(options.model, manifest, digest, lambda: models.current.name, core.batcher.max_rows, keys)
        return build_api(served, core.health, core.telemetry)

    responses = caches.responses if caches else None
    desk = Desk(prepared.gate, core.plane, core.telemetry, Aside(), responses, tracer)
    pages = Pages(options.model, models.signature, desk, LateApp(api))
    limits = Limits(connections=options.max_connections)
    return Listener(pages.route, prepared.ports.infer, limits, core.telemetry, shared=prepared.ports.shared)


def _grpc(prepared: Prepared, core: _Core, tracer: Tracer | None) -> "RpcListener | None":
    options, ports, signature = prepared.options, prepared.ports, prepared.models.signature
    if ports.grpc is None:
        return None
    from slipstream_runtime.rpc import limits, listener  # noqa: PLC0415  # protobuf: only where gRPC is served
    from slipstream_runtime.rpc.catalogue import Catalogue  # noqa: PLC0415
    from slipstream_runtime.rpc.service import Service  # noqa: PLC0415

    rows = core.batcher.max_rows if signature.batched else 0
    delay = options.max_delay_milliseconds / 1000
    catalogue = Catalogue(options.model, signature, core.health, core.telemetry, rows, delay)
    service = Service(options.model, signature, core.plane, prepared.gate, core.telemetry, catalogue, tracer)
    return listener.Listener(service, ports.grpc, limits.Limits(connections=options.max_connections))


def _metrics(health: Health, collector: Collector, ports: Ports) -> Listener | None:
    async def text() -> bytes:
        return families.text(collector.collect())

    if ports.metrics is None:
        return None
    return Listener(Probes(health, text).route, ports.metrics, Limits(connections=256))


def _age_seconds() -> float:
    """Return how long ago this process began, in seconds; zero where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def _announce(prepared: Prepared) -> None:
    options, ports, current = prepared.options, prepared.ports, prepared.models.current
    logger.info(
        "ready: model %s variant %s on port %d, metrics on port %d, T(b) = %.3f ms + b * %.4f ms%s",
        options.model,
        current.name,
        ports.infer.getsockname()[1],
        ports.metrics.getsockname()[1] if ports.metrics else 0,
        current.line.alpha * 1e3,
        current.line.beta * 1e3,
        f", gRPC on port {ports.grpc.getsockname()[1]}" if ports.grpc else "",
    )


async def _drain(replica: Replica, limit_seconds: float, *, shared: bool) -> None:
    if replica.metrics is not None:  # else the supervisor has said so for all its workers
        logger.info("stopping: finishing what was accepted")
    replica.health.draining = True
    ends = time.monotonic() + limit_seconds
    replica.infer.wind_down()
    if not shared:
        await asyncio.sleep(min(LATECOMER_SECONDS, limit_seconds / 4))
    linger = min(LINGER_SECONDS, limit_seconds / 2)
    listeners = [listener for listener in (replica.infer, replica.grpc) if listener is not None]
    for listener in listeners:
        listener.stop_accepting()
    finished = await asyncio.gather(*(listener.drain(linger, ends - time.monotonic()) for listener in listeners))
    if not all(finished):
        logger.warning("stopped with requests unfinished after %g seconds", limit_seconds)


async def _close(replica: Replica, prepared: Prepared) -> None:
    if replica.metrics is not None:
        replica.metrics.stop_accepting()
    if replica.named is not None:
        replica.named.close()
    replica.lag.close()
    replica.runner.close()
    prepared.models.close()
    await prepared.gate.close()
    if replica.caches is not None:
        await replica.caches.close()
    if replica.tracer is not None:
        replica.tracer.close()
