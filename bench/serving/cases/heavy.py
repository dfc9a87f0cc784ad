"""A model of about 5 ms a batch: how much of what bare ONNX Runtime can do is left to the callers."""

from functools import partial
from pathlib import Path

from bench.serving import baseline, contenders, models, turns, wrk
from bench.serving.contenders import OURS, Contender
from bench.serving.plan import Plan, Record, say
from bench.serving.processes import Server
from bench.serving.results import BARE

CONNECTIONS = 128
BATCHES = (1, 2, 4, 8, 16, 32, 64)
RATE = "rows/s"
SETTINGS = {"threads": 1, "processes": 1, "objective_milliseconds": 500}
"""One session on one thread on either side; the objective leaves room for batches of every size tried."""


def measure(plan: Plan, record: Record) -> None:
    """Measure the bare session at its best batch, and the runtime, in turn."""
    model = models.heavy(plan.scratch)
    trials = {batch: baseline.run(model, batch, plan.trial_seconds, plan.scratch) for batch in BATCHES}
    best = max(BATCHES, key=lambda batch: trials[batch].rows_per_second)
    record.settings[BARE] = f"batch {best}; {trials[4].seconds * 1e3:.1f} ms at batch 4"
    say(f"{model.name}: {BARE}: {record.settings[BARE]}")
    contender = contenders.ours(model.name, SETTINGS, "binary")
    requests = turns.request_files(model, contender, plan.scratch / OURS)["binary"]
    load = partial(_load, plan, record, requests)
    for _ in range(plan.rounds):
        ceiling = baseline.run(model, best, plan.seconds, plan.scratch)
        record.add(BARE, RATE, ceiling.rows_per_second)
        turns.rounds((contender,), model, {OURS: SETTINGS}, load, plan.once(), record)


def _load(plan: Plan, record: Record, requests: Path, contender: Contender, server: Server) -> None:
    wrk.offer(server.port, requests, CONNECTIONS, turns.WARM_SECONDS)
    record.add(OURS, RATE, turns.offer(contender, server, requests, CONNECTIONS, plan.seconds).rate)
