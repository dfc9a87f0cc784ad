"""Builds, checks and measures the optimised original: what every candidate is compared with, and always kept."""

from dataclasses import dataclass

import numpy as np
import onnx

from slipstream_builder import sessions
from slipstream_builder.arrays import count, take
from slipstream_builder.errors import OutOfTimeError, SourceError
from slipstream_builder.files import sha256
from slipstream_builder.gate.verdicts import Verdict
from slipstream_builder.measuring import analysis, costs, kinds, machine, operators, profile
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import Outcome
from slipstream_builder.search import conductor, estimates, judging, plan
from slipstream_builder.search.bench import Bench
from slipstream_builder.techniques import catalogue

_SAME_OUTPUT = 1e-3
_COMPARED_ROWS = 32


@dataclass(frozen=True)
class Original:
    """The optimised original: outcome, model, what the analysis says of it, what estimates rest on, and remarks."""

    outcome: Outcome
    model: bytes
    analysis: analysis.Analysis
    pace: estimates.Pace
    notes: tuple[str, ...]


def make(bench: Bench, source: bytes) -> Original:
    """Return the optimised original; where optimisation fails or changes results, the source as it is.

    Raises:
        SourceError: rows of a batch influence each other, so no request could share a batch.
        OutOfTimeError: the budget ran out before even this was ready.
    """
    bench.reporter.step("analyse", 0.0, "optimising the graph")
    built = _optimised(bench, source)
    model = built.model
    session = bench.open(model)
    judged = judging.judge(model, session, bench.rows, bench.accuracy, hasty=False)
    isolated = judged.verdicts[-1]
    if not isolated.passed:
        raise SourceError(
            f"model: {isolated.reason}, so requests could not share a batch; export it in evaluation mode, "
            "with every operation row by row"
        )
    bench.reporter.step("analyse", 0.3, "measuring latency over batch sizes")
    curve = profile.measure({plan.BASELINE: session}, bench.rows, bench.timer).curve(plan.BASELINE)
    bench.reporter.step("analyse", 0.7, "profiling its operators")
    proto = onnx.load_from_string(model)
    multiplications = costs.multiplications(proto, {name: array.shape[1:] for name, array in bench.rows.items()})
    found = analysis.analyse(
        curve,
        kind=kinds.kind_of(proto),
        operators=_operators(bench, model, curve.measured_seconds(SERVED_BATCH)),
        model_bytes=len(model),
        parameters=judged.parameters,
        multiplications=multiplications,
        read_bytes_per_second=machine.read_bytes_per_second(len(model), bench.reporter.clock),
    )
    bench.reporter.step("analyse", 1.0, f"{found.bottleneck}-bound: {found.evidence}")
    outcome = Outcome(
        plan.BASELINE,
        built.techniques,
        "kept",
        "the original is always kept",
        verdicts=(*_agreement(bench.agreement), *judged.verdicts),
        sha256=sha256(model),
        bytes=len(model),
        parameters=judged.parameters,
        metric=judged.metric,
        drop=judged.drop,
        drop_bound=judged.drop_bound,
        latency=curve,
        build_seconds=built.seconds,
    )
    items = len(bench.accuracy.baseline) if bench.accuracy else 0
    pace = estimates.pace(curve, multiplications, items, built.training_operations)
    return Original(outcome, model, found, pace, built.notes)


def _agreement(difference: float | None) -> tuple[Verdict, ...]:
    """Return the verdict on the conversion from torch, which loading refuses where rounding does not explain it."""
    if difference is None:
        return ()
    words = f"the ONNX answers as the torch program it was made from, within {difference:.1e} of the largest output"
    return (Verdict("agreement", True, words),)


@dataclass(frozen=True)
class _Optimised:
    model: bytes
    techniques: tuple[str, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    training_operations: float | None = None


def _optimised(bench: Bench, source: bytes) -> _Optimised:
    candidate = plan.original()
    estimated = bench.recipe.mode == "Auto" and bench.accuracy is not None
    finished = conductor.build_one(candidate, bench.workshop, bench.deadline, estimated=estimated)
    if finished.status == "skipped":
        raise OutOfTimeError(
            f"the time budget of {bench.recipe.budget_seconds} s ran out before the original was optimised; raise it"
        )
    record = finished.record
    if record is None or record.failure is not None:
        return _Optimised(source, notes=(f"the graph was left as it is: {finished.reason}",))
    model = bench.workshop.cache.model(candidate.name)
    difference = _difference(bench.open(source), bench.open(model), bench)
    if difference > _SAME_OUTPUT:
        moved = f"the graph was left as it is: optimising it moved outputs by {difference:.1e}"
        return _Optimised(source, notes=(moved,), training_operations=record.training_operations)
    labels = catalogue.labels(candidate.techniques)
    return _Optimised(model, labels, record.seconds, training_operations=record.training_operations)


def _difference(source: sessions.Session, optimised: sessions.Session, bench: Bench) -> float:
    """Return how far an output moved, as a share of the largest value of that output; infinity where not a number."""
    rows = take(bench.rows, slice(0, _COMPARED_ROWS))
    worst = 0.0
    for before, after in zip(sessions.run(source, rows), sessions.run(optimised, rows), strict=True):
        if before.shape != after.shape:
            return float("inf")
        scale = max(float(np.abs(before.astype(np.float64)).max()), 1e-12)
        moved = float(np.abs(after.astype(np.float64) - before).max()) / scale
        worst = max(worst, moved if np.isfinite(moved) else float("inf"))
    return worst


def _operators(bench: Bench, model: bytes, seconds: float) -> tuple[operators.OperatorShare, ...]:
    batch = take(bench.rows, np.arange(SERVED_BATCH) % count(bench.rows))
    return operators.profile(model, batch, bench.recipe.threads, bench.recipe.accelerator, seconds)
