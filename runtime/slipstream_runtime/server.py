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
from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.model.artifact import LoadedVariant, load_variant
from slipstream_runtime.model.selfcheck import check_golden, measure
from slipstream_runtime.model.session import Session
from slipstream_runtime.observing import families
from slipstream_runtime.observing.collector import Collector, Identity
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.rest.api import build_api
from slipstream_runtime.rest.connections import Listener, bind, inherit
from slipstream_runtime.rest.infer_app import InferApp
from slipstream_runtime.rest.probes import ProbeApp

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0


@dataclass(frozen=True)
class Prepared:
    """A replica that has passed its self-check, with its sockets bound."""

    options: ServingOptions
    loaded: LoadedVariant
    session: Session
    line: Line
    infer_socket: socket.socket
    metrics_socket: socket.socket


@dataclass(frozen=True)
class Replica:
    """The running parts."""

    health: Health
    runner: Runner
    infer: Listener
    metrics: Listener


def prepare(options: ServingOptions) -> Prepared:
    """Bind, load, verify, warm up and measure.

    Raises:
        StartError: any of it failed; the message names the file or option.
    """
    infer_socket = bind("port", options.host, options.port) if options.socket_fd < 0 else inherit(options.socket_fd)
    metrics_socket = bind("metrics-port", options.host, options.metrics_port)
    folder = Path(options.artifact)
    loaded = load_variant(folder, options.variant)
    session = Session(loaded.model, loaded.signature, options.threads, str(folder / loaded.variant.file.path))
    check_golden(session, loaded, folder)
    line = measure(session, loaded, options.max_batch or MAX_ROWS)
    return Prepared(options, loaded, session, line, infer_socket, metrics_socket)


async def serve(prepared: Prepared) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    replica = _assemble(prepared)
    replica.metrics.start()
    replica.infer.start()
    replica.health.serving = True
    _announce(prepared)
    await stop.wait()
    await _drain(replica, prepared.options.drain_seconds)


def _assemble(prepared: Prepared) -> Replica:
    options, signature = prepared.options, prepared.loaded.signature
    objective = options.objective_milliseconds / 1000
    telemetry = Telemetry(objective)
    runner = _runner(prepared.line)
    batcher = _batcher(prepared, runner, telemetry)
    health = Health(lambda: batcher.running_seconds)
    plane = DataPlane(signature, batcher, _cache(prepared, telemetry), telemetry, objective, options.variant)
    app = InferApp(options.model, signature, plane, telemetry, build_api(options.model, signature, health))
    identity = Identity(options.model, prepared.loaded.digest, options.variant)
    collector = Collector(telemetry, batcher, identity)
    infer = Listener(app, prepared.infer_socket, shared=options.socket_fd >= 0)
    metrics = Listener(ProbeApp(health, lambda: families.text(collector.collect())), prepared.metrics_socket)
    return Replica(health, runner, infer, metrics)


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


def _cache(prepared: Prepared, telemetry: Telemetry) -> AnswerCache | None:
    options = prepared.options
    if options.cache_bytes == 0:
        return None
    store = ByteLru(options.cache_bytes, options.cache_ttl_seconds)
    return AnswerCache(store, f"{prepared.loaded.digest}/{options.variant}", telemetry)


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
