"""The sentence encoder with real sentences of mixed length, beside mosec with the same file and session options."""

from functools import partial
from pathlib import Path

from bench.serving import contenders, models, turns, wrk
from bench.serving.contenders import Contender
from bench.serving.plan import Plan, Record
from bench.serving.processes import Server

CONNECTIONS = 128
RATE = "sentences/s"
TRIAL_FACTOR = 3
"""A second is too short a trial where a batch may take a quarter of one."""


def measure(plan: Plan, record: Record) -> None:
    """Measure both in turn; a load takes twice as long as others, as there are only some hundred answers a second."""
    model = models.encoder(plan.scratch)
    both = contenders.for_encoder(model.name)
    files = {
        each.name: turns.request_files(model, each, plan.scratch / contenders.folder_name(each))["json"]
        for each in both
    }
    chosen = turns.best_settings(both, model, CONNECTIONS, plan.longer(TRIAL_FACTOR), record)
    turns.rounds(both, model, chosen, partial(_load, plan, record, files), plan, record)


def _load(plan: Plan, record: Record, files: dict[str, Path], contender: Contender, server: Server) -> None:
    requests = files[contender.name]
    wrk.offer(server.port, requests, CONNECTIONS, turns.WARM_SECONDS)
    record.add(contender.name, RATE, turns.offer(contender, server, requests, CONNECTIONS, 2 * plan.seconds).rate)
