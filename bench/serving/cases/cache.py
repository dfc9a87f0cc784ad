"""The cache: hits on the small model, and Zipf traffic on the recommender, whose answers do not all fit."""

from functools import partial
from pathlib import Path

import numpy as np

from bench.serving import contenders, models, turns, wrk
from bench.serving.contenders import OURS, Contender, Settings
from bench.serving.models import Model
from bench.serving.plan import Plan, Record
from bench.serving.processes import Server

CONNECTIONS = 64
CACHED, UNCACHED = "cache on", "cache off"
HITS = "small model, the same 512 requests, requests/s"
ZIPF = "recommender, Zipf traffic (s = 1), requests/s"
_DRAWS = 20000
OBJECTIVE_MILLISECONDS = 1000
"""Wide, so that a closed loop is never refused."""
_ROOMY_BYTES, _TIGHT_BYTES = 64 << 20, 4 << 20


def measure(plan: Plan, record: Record) -> None:
    """Measure with and without the cache, in turn."""
    small, recommender = models.small(plan.scratch), models.recommender(plan.scratch)
    requests = _files(plan, small, "json", ())
    drawn = _files(plan, recommender, "binary", zipf(len(recommender.requests), _DRAWS))
    for _ in range(plan.rounds):
        _both(plan, record, small, "json", requests, HITS, _ROOMY_BYTES)
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


def _load(
    plan: Plan, record: Record, requests: Path, label: str, quantity: str, contender: Contender, server: Server
) -> None:
    wrk.offer(server.port, requests, CONNECTIONS, turns.WARM_SECONDS)
    record.add(label, quantity, turns.offer(contender, server, requests, CONNECTIONS, plan.seconds).rate)
