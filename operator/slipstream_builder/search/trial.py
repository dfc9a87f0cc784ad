"""Builds the candidates one by one and puts each to the gates; a candidate's failure never ends the build."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from slipstream_builder import sessions
from slipstream_builder.arrays import Rows, Scores
from slipstream_builder.errors import BuilderError, DiskFullError, OutOfTimeError, TechniqueError
from slipstream_builder.files import is_disk_full
from slipstream_builder.gate import bounds, evaluate, isolation, verdicts
from slipstream_builder.measuring import costs, profile
from slipstream_builder.outcome import Outcome
from slipstream_builder.reporting import Reporter
from slipstream_builder.search import plan
from slipstream_builder.search.cache import CandidateCache
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.validation.metrics import Task
from slipstream_contract.manifest import MetricEstimate
from slipstream_contract.recipe import Recipe, Validation


@dataclass(frozen=True)
class Accuracy:
    """What the accuracy gate needs: the items, what is asked, and the source model's scores on them."""

    examination: evaluate.Examination
    asked: Validation
    baseline: Scores


@dataclass(frozen=True)
class Bench:
    """All that candidates share: the source, data, settings, and where time and finished work are kept."""

    recipe: Recipe
    source: onnx.ModelProto
    unlabelled: Rows
    rows: Rows
    task: Task
    accuracy: Accuracy | None
    cache: CandidateCache
    reporter: Reporter
    deadline: float

    def open(self, model: bytes) -> sessions.Session:
        """Return a session for `model` as a replica would have it."""
        return sessions.open_session(model, self.recipe.threads, self.recipe.accelerator)


@dataclass(frozen=True)
class Contender:
    """A candidate's outcome, and its model where there is one."""

    outcome: Outcome
    model: Path | None


def build(candidate: plan.Candidate, bench: Bench) -> tuple[bytes, float]:
    """Return the candidate's model and the seconds it took; from the cache when an earlier build finished it.

    Raises:
        TechniqueError: it cannot be built.
        OutOfTimeError: the budget ran out first.
    """
    kept = bench.cache.get(candidate.name)
    if kept is not None and kept.model is not None:
        return kept.model, 0.0
    if kept is not None:
        raise TechniqueError(kept.failure)
    started = bench.reporter.clock()
    try:
        model = _apply_all(candidate, bench).SerializeToString(deterministic=True)
    except TechniqueError as error:
        bench.cache.put_failure(candidate.name, str(error))
        raise
    bench.cache.put_model(candidate.name, model)
    return model, bench.reporter.clock() - started


def attempt(candidate: plan.Candidate, bench: Bench, baseline: bytes, folder: Path) -> Contender:
    """Build and judge one candidate.

    Raises:
        DiskFullError: what was built cannot be kept.
    """
    labels = catalogue.labels(candidate.techniques)
    if bench.reporter.clock() >= bench.deadline:
        reason = f"the time budget of {bench.recipe.budget_seconds} s was spent before its turn"
        return Contender(Outcome(candidate.name, labels, "skipped", reason), None)
    try:
        model, seconds = build(candidate, bench)
        outcome = _judge(Outcome(candidate.name, labels, "failed", "", build_seconds=seconds), model, baseline, bench)
    except OutOfTimeError as error:
        return Contender(Outcome(candidate.name, labels, "skipped", str(error)), None)
    except DiskFullError:
        raise
    except Exception as error:  # techniques meet models of every kind; whatever one raises, the next may work
        if is_disk_full(error):
            raise
        return Contender(Outcome(candidate.name, labels, "failed", _failure(error)), None)
    path = folder / f"{candidate.name}.onnx"
    path.write_bytes(model)
    return Contender(outcome, path)


def estimate(scores: Scores, seed: int) -> MetricEstimate:
    """Return the mean of per-item scores with its 95 % interval."""
    low, high = bounds.mean_interval(scores, seed)
    return MetricEstimate(float(scores.mean()), low, high)


def _apply_all(candidate: plan.Candidate, bench: Bench) -> onnx.ModelProto:
    # Torch takes seconds to import, which a build that is refused or reused need not pay.
    from slipstream_builder.techniques.apply import apply  # noqa: PLC0415

    model = onnx.ModelProto()
    model.CopyFrom(bench.source)
    for position, technique in enumerate(candidate.techniques):
        report = _share(bench, candidate, position)
        report(0.0, catalogue.labels((technique,))[0])
        context = TechniqueContext(
            source=bench.source,
            unlabelled=bench.unlabelled,
            task=bench.task,
            seed=bench.recipe.seed,
            threads=bench.recipe.threads,
            report=report,
        )
        model = apply(technique, model, context)
    return model


def _share(bench: Bench, candidate: plan.Candidate, position: int) -> Callable[[float, str], None]:
    """Return a reporter for one technique's share of the candidate's step."""
    whole = bench.reporter.until(f"candidate {candidate.name}", bench.deadline)
    return lambda fraction, message: whole((position + fraction) / len(candidate.techniques), message)


def _judge(draft: Outcome, model: bytes, baseline: bytes, bench: Bench) -> Outcome:
    """Put the model to the gates, the cheap ones first; timing is left out when an earlier one failed."""
    bench.reporter.step(f"candidate {draft.name}", 1.0, "judging accuracy, isolation and benefit")
    session = bench.open(model)
    outcome = replace(draft, bytes=len(model), parameters=costs.parameters(onnx.load_from_string(model)))
    outcome = _with_accuracy(outcome, session, bench)
    outcome = replace(outcome, verdicts=(*outcome.verdicts, isolation.examine(session, bench.rows)))
    outcome = _with_benefit(outcome, session, baseline, bench)
    failed = [verdict for verdict in outcome.verdicts if not verdict.passed]
    reason = "; ".join(f"{verdict.name}: {verdict.reason}" for verdict in failed) or "passed every gate"
    return replace(outcome, status="failed" if failed else "passed", reason=reason)


def _with_accuracy(outcome: Outcome, session: sessions.Session, bench: Bench) -> Outcome:
    accuracy = bench.accuracy
    if accuracy is None:
        verdict = verdicts.Verdict("accuracy", False, "there is no validation set to prove it on")
        return replace(outcome, verdicts=(*outcome.verdicts, verdict))
    scores = evaluate.scores(session, accuracy.examination)
    judged = verdicts.judge_accuracy(
        accuracy.examination.metric,
        accuracy.baseline,
        scores,
        max_drop=accuracy.asked.max_drop,
        confidence=accuracy.asked.confidence,
        seed=bench.recipe.seed,
    )
    metric = estimate(scores, bench.recipe.seed) if judged.bound is not None else None
    return replace(
        outcome,
        verdicts=(*outcome.verdicts, judged.verdict),
        metric=metric,
        drop=judged.drop,
        drop_bound=judged.bound,
    )


def _with_benefit(outcome: Outcome, session: sessions.Session, baseline: bytes, bench: Bench) -> Outcome:
    measured = profile.measure(
        {outcome.name: session, plan.BASELINE: bench.open(baseline)}, bench.rows, bench.reporter.clock
    )
    timings = measured.timings(outcome.name, plan.BASELINE)
    verdict = verdicts.judge_benefit(timings, outcome.bytes or 0, len(baseline))
    return replace(
        outcome, verdicts=(*outcome.verdicts, verdict), latency=measured.curve(outcome.name), timings=timings
    )


def _failure(error: Exception) -> str:
    if isinstance(error, BuilderError):
        return str(error)
    line = " ".join(str(error).split())[:300]
    return f"cannot be built or run: {type(error).__name__}: {line}"
