"""Contenders in turn: the best setting of each first, then rounds in which each is started, checked and loaded."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnxruntime as ort

from bench.serving import wrk
from bench.serving.contenders import Contender, Settings, folder_name, words
from bench.serving.models import Array, Model
from bench.serving.plan import Plan, Record, say
from bench.serving.processes import Server
from bench.shared.folders import BenchError

WARM_SECONDS = 1.0
MOST_ERRORS = 0.001
"""The share of a load's requests that may go wrong before its figure counts as failed."""

Loader = Callable[[Contender, Server], None]


def request_files(model: Model, contender: Contender, folder: Path) -> dict[str, Path]:
    """Write the contender's requests for wrk, one file a wire; return them by the wire's name."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: wrk.write_requests(
            folder / f"{name}.requests", [wire.request(tensors, contender.headers) for tensors in model.requests]
        )
        for name, wire in contender.wires.items()
    }


def bare_answer(model: Model) -> Array:
    """Return the bare session's first output for the model's first request, float32 [values]."""
    session: Any = ort.InferenceSession(model.file, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, dict(model.requests[0]))[0].reshape(-1)
    return answer


def best_settings(
    contenders: Sequence[Contender], model: Model, connections: int, plan: Plan, record: Record
) -> dict[str, Settings]:
    """Return each contender's fastest setting, by a short load of its first wire; who fails is recorded."""
    chosen: dict[str, Settings] = {}
    for contender in contenders:
        try:
            chosen[contender.name] = _best(contender, model, connections, plan)
            record.settings[contender.name] = words(chosen[contender.name])
            say(f"{model.name}: {contender.name}: {record.settings[contender.name]}")
        except BenchError as error:
            record.fail(contender.name, error)
    return chosen


def rounds(
    contenders: Sequence[Contender],
    model: Model,
    chosen: Mapping[str, Settings],
    load: Loader,
    plan: Plan,
    record: Record,
) -> None:
    """Start, check and load every contender in turn, for so many rounds; one that fails is left out from then on."""
    wanted = bare_answer(model)
    for number in range(plan.rounds):
        for contender in contenders:
            if contender.name not in chosen or contender.name in record.failures:
                continue
            say(f"{model.name}: round {number + 1} of {plan.rounds}: {contender.name}")
            try:
                with contender.serve(model, chosen[contender.name], plan.scratch / folder_name(contender)) as server:
                    for wire in contender.wires.values():
                        contender.check(server.port, wire, model.requests[0], wanted)
                    load(contender, server)
            except BenchError as error:
                record.fail(contender.name, error)


def offer(
    contender: Contender, server: Server, requests: Path, connections: int, seconds: float, threads: int = 1
) -> wrk.Load:
    """Return the load of `connections`.

    Raises:
        BenchError: more requests went wrong than may, or nothing was answered.
    """
    load = wrk.offer(server.port, requests, connections, seconds, threads)
    if load.requests == 0:
        raise BenchError(f"{contender.name}: answered nothing in {seconds:g} s")
    if load.refused + load.broken > MOST_ERRORS * load.requests:
        raise BenchError(f"{contender.name}: {load.refused + load.broken} of {load.requests} requests went wrong")
    return load


def _best(contender: Contender, model: Model, connections: int, plan: Plan) -> Settings:
    if len(contender.settings) == 1:
        return contender.settings[0]
    found: list[tuple[float, Settings]] = []
    reason = BenchError(f"{contender.name}: no setting works")
    for settings in contender.settings:
        try:
            found.append((_trial(contender, model, settings, connections, plan), settings))
        except BenchError as error:
            reason = error
    with suppress(ValueError):
        return max(found, key=lambda pair: pair[0])[1]
    raise reason


def _trial(contender: Contender, model: Model, settings: Settings, connections: int, plan: Plan) -> float:
    folder = plan.scratch / folder_name(contender)
    requests = next(iter(request_files(model, contender, folder).values()))
    with contender.serve(model, settings, folder) as server:
        wrk.offer(server.port, requests, connections, plan.trial_seconds)
        return offer(contender, server, requests, connections, plan.trial_seconds).rate
