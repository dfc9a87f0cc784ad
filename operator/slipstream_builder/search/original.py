"""Builds, checks and measures the optimised original: what every candidate is compared with, and always kept."""

from dataclasses import dataclass, replace

import numpy as np
import onnx

from slipstream_builder import sessions
from slipstream_builder.arrays import take
from slipstream_builder.errors import SourceError, TechniqueError
from slipstream_builder.gate import evaluate, isolation
from slipstream_builder.gate.verdicts import AccuracyVerdict, judge_accuracy
from slipstream_builder.measuring import analysis, costs, machine, profile
from slipstream_builder.outcome import Outcome
from slipstream_builder.search import plan, trial
from slipstream_builder.techniques import catalogue

_SAME_OUTPUT = 1e-3
_COMPARED_ROWS = 32


@dataclass(frozen=True)
class Original:
    """The optimised original's outcome and model, what the analysis says of it, and remarks for the report."""

    outcome: Outcome
    model: bytes
    analysis: analysis.Analysis
    notes: tuple[str, ...]


def make(bench: trial.Bench) -> Original:
    """Return the optimised original; where optimisation fails or changes results, the source as it is.

    Raises:
        SourceError: rows of a batch influence each other, so no request could share a batch.
        OutOfTimeError: the budget ran out before even this was ready.
    """
    bench.reporter.step("analyse", 0.0, "optimising the graph")
    model, techniques, seconds, notes = _optimised(bench)
    session = bench.open(model)
    isolated = isolation.examine(session, bench.rows)
    if not isolated.passed:
        raise SourceError(
            f"model: {isolated.reason}, so requests could not share a batch; export it in evaluation mode, "
            "with every operation row by row"
        )
    bench.reporter.step("analyse", 0.3, "measuring latency over batch sizes")
    curve = profile.measure({plan.BASELINE: session}, bench.rows, bench.reporter.clock).curve(plan.BASELINE)
    proto = onnx.load_from_string(model)
    found = analysis.analyse(
        curve,
        model_bytes=len(model),
        parameters=costs.parameters(proto),
        multiplications=costs.multiplications(proto),
        read_bytes_per_second=machine.read_bytes_per_second(len(model), bench.reporter.clock),
    )
    bench.reporter.step("analyse", 1.0, f"{found.bottleneck}-bound: {found.evidence}")
    outcome = Outcome(
        plan.BASELINE,
        techniques,
        "kept",
        "the original is always kept",
        verdicts=(isolated,),
        bytes=len(model),
        parameters=found.parameters,
        latency=curve,
        build_seconds=seconds,
    )
    return Original(_with_accuracy(outcome, session, bench), model, found, notes)


def _optimised(bench: trial.Bench) -> tuple[bytes, tuple[str, ...], float, tuple[str, ...]]:
    source = bench.source.SerializeToString(deterministic=True)
    candidate = plan.original()
    try:
        model, seconds = trial.build(candidate, bench)
        difference = _difference(bench.open(source), bench.open(model), bench)
    except TechniqueError as error:
        return source, (), 0.0, (f"the graph was left as it is: {error}",)
    if difference > _SAME_OUTPUT:
        return source, (), 0.0, (f"the graph was left as it is: optimising it moved outputs by {difference:.1e}",)
    return model, catalogue.labels(candidate.techniques), seconds, ()


def _difference(source: sessions.Session, optimised: sessions.Session, bench: trial.Bench) -> float:
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


def _with_accuracy(outcome: Outcome, session: sessions.Session, bench: trial.Bench) -> Outcome:
    if bench.accuracy is None:
        return outcome
    scores = evaluate.scores(session, bench.accuracy.examination)
    judged: AccuracyVerdict = judge_accuracy(
        bench.accuracy.examination.metric,
        bench.accuracy.baseline,
        scores,
        max_drop=bench.accuracy.asked.max_drop,
        confidence=bench.accuracy.asked.confidence,
        seed=bench.recipe.seed,
    )
    return replace(
        outcome,
        verdicts=(judged.verdict, *outcome.verdicts),
        metric=trial.estimate(scores, bench.recipe.seed),
        drop=judged.drop,
        drop_bound=judged.bound,
    )
