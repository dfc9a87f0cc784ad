"""Puts a built model to the gates that need no clock: accuracy, over all items and slices, and isolation."""

from dataclasses import dataclass, replace

import numpy as np
import onnx

from slipstream_builder.arrays import Array, Rows, Scores
from slipstream_builder.gate import bounds, evaluate, isolation
from slipstream_builder.gate.verdicts import Verdict, judge_accuracy, judge_slices
from slipstream_builder.measuring import costs
from slipstream_builder.search import early
from slipstream_builder.sessions import Session
from slipstream_contract.manifest import MetricEstimate
from slipstream_contract.recipe import Validation


@dataclass(frozen=True)
class Accuracy:
    """What the accuracy gate needs: the items, what is asked, the source model's scores, and the order's seed."""

    examination: evaluate.Examination
    asked: Validation
    baseline: Scores
    seed: int


@dataclass(frozen=True)
class Judgement:
    """What became of a built model at the gates; `drop` is that over the items seen where judging stopped early."""

    bytes: int
    parameters: int
    verdicts: tuple[Verdict, ...]
    metric: MetricEstimate | None = None
    drop: float | None = None
    drop_bound: float | None = None

    @property
    def inaccurate(self) -> bool:
        """Whether the accuracy gate refused it."""
        return any(verdict.name == "accuracy" and not verdict.passed for verdict in self.verdicts)


def judge(model: bytes, session: Session, rows: Rows, accuracy: Accuracy | None, *, hasty: bool) -> Judgement:
    """Return what accuracy and isolation say; `hasty` ends the accuracy test where there is no hope left."""
    judged = Judgement(len(model), costs.parameters(onnx.load_from_string(model)), ())
    if accuracy is not None:
        judged = _with_accuracy(judged, session, accuracy, hasty=hasty)
    return replace(judged, verdicts=(*judged.verdicts, isolation.examine(session, rows)))


def estimate(scores: Scores) -> MetricEstimate:
    """Return the mean of per-item scores with its 95 % interval."""
    low, high = bounds.mean_interval(scores)
    return MetricEstimate(float(scores.mean()), low, high)


def _with_accuracy(judged: Judgement, session: Session, accuracy: Accuracy, *, hasty: bool) -> Judgement:
    metric = accuracy.examination.metric
    scores, seen, hopeless = _scores(session, accuracy, hasty=hasty)
    if hopeless is not None:
        drop = bounds.relative_drop(accuracy.baseline[seen], scores, metric.higher_is_better)
        return replace(judged, verdicts=(Verdict("accuracy", False, f"{metric.name}: {hopeless}"),), drop=drop)
    found = judge_accuracy(
        metric,
        accuracy.baseline,
        scores,
        max_drop=accuracy.asked.max_drop,
        confidence=accuracy.asked.confidence,
    )
    return replace(
        judged,
        verdicts=(found.verdict, *_slices(accuracy, scores)),
        metric=estimate(scores) if found.bound is not None else None,
        drop=found.drop,
        drop_bound=found.bound,
    )


def _slices(accuracy: Accuracy, scores: Scores) -> tuple[Verdict, ...]:
    slices, max_drop = accuracy.examination.slices, accuracy.asked.max_slice_drop
    if slices is None or max_drop is None:
        return ()
    metric, confidence = accuracy.examination.metric, accuracy.asked.confidence
    return (judge_slices(metric, accuracy.baseline, scores, slices, max_drop=max_drop, confidence=confidence),)


def _scores(session: Session, accuracy: Accuracy, *, hasty: bool) -> tuple[Scores, Array, str | None]:
    """Return the scores of the items seen, those items, and why there is no hope, if there is none.

    Without that, all items were seen, and the scores are in the items' own order.
    """
    examination, items = accuracy.examination, len(accuracy.baseline)
    if not hasty or not examination.divisible:
        return evaluate.scores(session, examination), np.arange(items), None
    scores = np.empty(items)
    seen = np.empty(0, dtype=np.int64)
    for part in early.order(items, accuracy.seed):
        scores[part] = evaluate.scores(session, examination.part(part))
        seen = np.concatenate([seen, part])
        reason = early.hopeless(
            accuracy.baseline,
            seen,
            scores[seen],
            higher_is_better=examination.metric.higher_is_better,
            max_drop=accuracy.asked.max_drop,
        )
        if reason is not None and len(seen) < items:
            return scores[seen], seen, reason
    return scores, np.arange(items), None
