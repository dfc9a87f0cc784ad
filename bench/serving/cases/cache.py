"""The cache: hits on the small model, and Zipf traffic on the recommender, whose answers do not all fit."""

import os
import socket
from functools import partial
from pathlib import Path

import numpy as np

from bench.serving import contenders, models, turns, wrk
from bench.serving.contenders import OURS, Contender, Fixed, Settings
from bench.serving.models import Model
from bench.serving.plan import Plan, Record
from bench.serving.processes import Server

CONNECTIONS = 64
CACHED, UNCACHED, CEILING = "cache on", "cache off", "fixed answer (ceiling)"
HITS = "small model, the same 512 requests, requests/s"
ZIPF = "recommender, Zipf traffic (s = 1), requests/s"
_DRAWS = 20000
OBJECTIVE_MILLISECONDS = 1000
"""Wide, so that a closed loop is never refused."""
THREADS = 2
"""Of wrk: with one, it and not the server would be the limit at hits."""
_ROOMY_BYTES, _TIGHT_BYTES = 64 << 20, 4 << 20


def measure(plan: Plan, record: Record) -> None:
    """Measure with and without the cache, in turn."""
    small, recommender = models.small(plan.scratch), models.recommender(plan.scratch)
    requests = _files(plan, small, "json", ())
    drawn = _files(plan, recommender, "binary", zipf(len(recommender.requests), _DRAWS))
    for _ in range(plan.rounds):
        _both(plan, record, small, "json", requests, HITS, _ROOMY_BYTES)
        _ceiling(plan, record, small, requests)
        _both(plan, record, recommender, "binary", drawn, ZIPF, _TIGHT_BYTES)


def zipf(count: int, draws: int) -> list[int]:
    """Return so many draws of 0 to `count` - 1 with probabilities in proportion to 1 / (rank + 1)."""
    weights = 1.0 / np.arange(1, count + 1)
    return list(map(int, np.random.default_rng(0).choice(count, size=draws, p=weights / weights.sum())))


def _files(plan: Plan, model: Model, wire: str, order: list[int] | tuple[()]) -> Path:
    contender = contenders.ours(model.name, {}, wire)
    requests = [contender.wires[wire].request(tensors, contender.headers) for tensors in model.requests]
    return wrk.write_requests(plan.scratch / f"{model.name}-{wire}.requests", requests, order)


def _both(plan: Plan, record: Record, model: Model, wire: str, requests: Path, quantity: str, room: int) -> None:
    for label, cache_bytes in ((UNCACHED, 0), (CACHED, room)):
        settings: Settings = {"cache_bytes": cache_bytes, "objective_milliseconds": OBJECTIVE_MILLISECONDS}
        contender = contenders.ours(model.name, settings, wire)
        load = partial(_load, plan, record, requests, label, quantity)
        turns.rounds((contender,), model, {OURS: settings}, load, plan.once(), record)


def _ceiling(plan: Plan, record: Record, model: Model, requests: Path) -> None:
    """Measure what is left when a server only sends what ours sent, from as many processes."""
    answer = plan.scratch / "answer"
    ours = contenders.ours(model.name, {})
    if not answer.exists():
        with ours.serve(model, {}, plan.scratch / "asked") as server:
            answer.write_bytes(_raw_answer(server.port, ours.wires["json"].request(model.requests[0], ours.headers)))
    fixed = Fixed(CEILING, ours.wires, answer_file=answer, processes=os.cpu_count() or 1)
    load = partial(_load, plan, record, requests, CEILING, HITS)
    turns.rounds((fixed,), model, {CEILING: {}}, load, plan.once(), record)


def _raw_answer(port: int, request: bytes) -> bytes:
    """Return the bytes of one answer, which comes in one packet."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16)


def _load(
    plan: Plan, record: Record, requests: Path, label: str, quantity: str, contender: Contender, server: Server
) -> None:
    wrk.offer(server.port, requests, CONNECTIONS, turns.WARM_SECONDS, THREADS)
    record.add(label, quantity, turns.offer(contender, server, requests, CONNECTIONS, plan.seconds, THREADS).rate)
