"""Puts a replica together, serves until a signal, and drains."""

import asyncio
import logging
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.batching.batcher import Batcher, BatchRules
from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.policy import MAX_ROWS
from slipstream_runtime.batching.runners import LOOP_SECONDS, LoopRunner, Runner, ThreadRunner
from slipstream_runtime.caching.opening import Caches, open_caches
from slipstream_runtime.callers.gate import Gate
from slipstream_runtime.callers.opening import open_gate
from slipstream_runtime.model.artifact import LoadedVariant, load_variant
from slipstream_runtime.model.selfcheck import check_golden, measure
from slipstream_runtime.model.session import Session
from slipstream_runtime.observing import families
from slipstream_runtime.observing.collector import Collector, Identity
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.rest.api import build_api
from slipstream_runtime.rest.infer import Pages
from slipstream_runtime.rest.infer_exchange import Desk
from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.listener import Listener
from slipstream_runtime.rest.probes import Probes
from slipstream_runtime.rest.sockets import bind, inherit

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0


@dataclass(frozen=True)
class Prepared:
    """A replica that has passed its self-check, with its sockets bound."""

    options: ServingOptions
    loaded: LoadedVariant
    session: Session
    line: Line
    gate: Gate
    infer_socket: socket.socket
    metrics_socket: socket.socket


@dataclass(frozen=True)
class Replica:
    """The running parts."""

    health: Health
    runner: Runner
    caches: Caches | None
    infer: Listener
    metrics: Listener


def prepare(options: ServingOptions) -> Prepared:
    """Bind, load, verify, warm up and measure.

    Raises:
        StartError: any of it failed; the message names the file or option.
    """
    infer_socket = bind("port", options.host, options.port) if options.socket_fd < 0 else inherit(options.socket_fd)
    metrics_socket = bind("metrics-port", options.host, options.metrics_port)
    gate = open_gate(options)
    folder = Path(options.artifact)
    loaded = load_variant(folder, options.variant)
    session = Session(loaded.model, loaded.signature, options.threads, str(folder / loaded.variant.file.path))
    check_golden(session, loaded, folder)
    line = measure(session, loaded, options.max_batch or MAX_ROWS)
    return Prepared(options, loaded, session, line, gate, infer_socket, metrics_socket)


async def serve(prepared: Prepared) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    replica = _assemble(prepared)
    prepared.gate.start()
    if replica.caches is not None:
        replica.caches.start()
    replica.metrics.start()
    replica.infer.start()
    replica.health.serving = True
    _announce(prepared)
    await stop.wait()
    await _drain(replica, prepared.options.drain_seconds)
    await prepared.gate.close()
    if replica.caches is not None:
        await replica.caches.close()


def _assemble(prepared: Prepared) -> Replica:
    options, signature = prepared.options, prepared.loaded.signature
    objective = options.objective_milliseconds / 1000
    telemetry = Telemetry(objective)
    runner = _runner(prepared.line)
    batcher = _batcher(prepared, runner, telemetry)
    health = Health(lambda: batcher.running_seconds)
    caches = open_caches(options, prepared.loaded.digest, signature, telemetry, batcher.predicted_wait)
    plane = DataPlane(signature, batcher, caches.answers if caches else None, telemetry, objective)
    desk = Desk(prepared.gate, plane, telemetry)
    pages = Pages(options.model, signature, desk, build_api(options.model, signature, health))
    identity = Identity(options.model, prepared.loaded.digest, options.variant)
    collector = Collector(telemetry, batcher, identity)
    limits = Limits(connections=options.max_connections)
    infer = Listener(pages.route, prepared.infer_socket, limits, telemetry, shared=options.socket_fd >= 0)

    async def metrics_text() -> bytes:
        return families.text(collector.collect())

    metrics = Listener(Probes(health, metrics_text).route, prepared.metrics_socket, Limits(connections=256))
    return Replica(health, runner, caches, infer, metrics)


def _batcher(prepared: Prepared, runner: Runner, telemetry: Telemetry) -> Batcher:
    options = prepared.options
    rules = BatchRules(
        objective_seconds=options.objective_milliseconds / 1000,
        cap=options.max_batch or MAX_ROWS,
        delay_seconds=options.max_delay_milliseconds / 1000,
        batched=prepared.loaded.signature.batched,
    )
    return Batcher(prepared.session.run, prepared.line, options.variant, rules, runner, telemetry)


def _runner(line: Line) -> Runner:
    if line.seconds(1) < LOOP_SECONDS:
        return LoopRunner()
    return ThreadRunner(asyncio.get_running_loop())


def _announce(prepared: Prepared) -> None:
    options = prepared.options
    logger.info(
        "ready: model %s variant %s on port %d, metrics on port %d, T(b) = %.3f ms + b * %.4f ms",
        options.model,
        options.variant,
        prepared.infer_socket.getsockname()[1],
        prepared.metrics_socket.getsockname()[1],
        prepared.line.alpha * 1e3,
        prepared.line.beta * 1e3,
    )


async def _drain(replica: Replica, limit_seconds: float) -> None:
    logger.info("stopping: finishing what was accepted")
    replica.health.draining = True
    replica.infer.stop_accepting()
    finished = await replica.infer.drain(min(LINGER_SECONDS, limit_seconds / 2), limit_seconds)
    replica.metrics.stop_accepting()
    replica.runner.close()
    if not finished:
        logger.warning("stopped with requests unfinished after %g seconds", limit_seconds)
