"""The memory of a replica beside that of the bare session, and its growth over many requests."""

from functools import partial
from pathlib import Path

from bench.serving import baseline, contenders, models, turns
from bench.serving.contenders import OURS, Contender
from bench.serving.plan import Plan, Record
from bench.serving.processes import Server
from bench.serving.results import BARE
from bench.shared.memory import held_bytes

CONNECTIONS = 64
HELD = "memory held, MiB"
GROWTH = "growth while loaded, %"
REQUESTS = "requests meanwhile"


def measure(plan: Plan, record: Record) -> None:
    """Read the proportional set sizes of both, after the same kind of work."""
    model = models.small(plan.scratch)
    contender = contenders.ours(model.name, {})
    requests = turns.request_files(model, contender, plan.scratch / OURS)["json"]
    load = partial(_load, plan, record, requests)
    for _ in range(plan.rounds):
        record.add(BARE, HELD, baseline.run(model, 1, plan.trial_seconds, plan.scratch).held_bytes / 2**20)
        turns.rounds((contender,), model, {OURS: {}}, load, plan.once(), record)


def _load(plan: Plan, record: Record, requests: Path, contender: Contender, server: Server) -> None:
    turns.offer(contender, server, requests, CONNECTIONS, plan.seconds)
    before = held_bytes(server.process)
    load = turns.offer(contender, server, requests, CONNECTIONS, plan.seconds)
    after = held_bytes(server.process)
    record.add(OURS, HELD, after / 2**20)
    record.add(OURS, GROWTH, (after / before - 1) * 100)
    record.add(OURS, REQUESTS, load.requests)
