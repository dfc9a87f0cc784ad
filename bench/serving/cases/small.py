"""A small model: what a server costs. JSON, binary and gRPC at 64 connections, JSON at one."""

from functools import partial
from pathlib import Path

from bench.serving import baseline, contenders, grpc_load, models, turns, wrk
from bench.serving.contenders import Contender
from bench.serving.models import Model
from bench.serving.plan import Plan, Record
from bench.serving.processes import Server
from bench.serving.results import BARE

CONNECTIONS = 64
JSON = "JSON, 64 connections, requests/s"
BINARY = "binary, 64 connections, requests/s"
GRPC = "gRPC, 64 calls, requests/s"
ALONE = "JSON, 1 connection, p50 ms"


def measure(plan: Plan, record: Record) -> None:
    """Measure all contenders."""
    model = models.small(plan.scratch)
    all_of_them = contenders.for_small(model.name)
    files = {
        each.name: turns.request_files(model, each, plan.scratch / contenders.folder_name(each)) for each in all_of_them
    }
    chosen = turns.best_settings(all_of_them, model, CONNECTIONS, plan, record)
    for _ in range(plan.rounds):
        bare = baseline.run(model, 1, plan.trial_seconds, plan.scratch)
        record.add(BARE, ALONE, bare.seconds * 1e3)
    turns.rounds(all_of_them, model, chosen, partial(_load, plan, record, model, files), plan, record)


def _load(
    plan: Plan, record: Record, model: Model, files: dict[str, dict[str, Path]], contender: Contender, server: Server
) -> None:
    requests, offer = files[contender.name], partial(turns.offer, contender, server)
    wrk.offer(server.port, requests["json"], CONNECTIONS, turns.WARM_SECONDS)
    record.add(contender.name, JSON, offer(requests["json"], CONNECTIONS, plan.seconds).rate)
    record.add(contender.name, ALONE, offer(requests["json"], 1, plan.seconds / 2).p50)
    if "binary" in requests:
        record.add(contender.name, BINARY, offer(requests["binary"], CONNECTIONS, plan.seconds).rate)
    if contender.grpc:
        rate = grpc_load.run(contender, server, model, CONNECTIONS, plan.seconds, plan.scratch)
        record.add(contender.name, GRPC, rate)
