"""What a candidate must pass before it may serve: accuracy, benefit, isolation; pure and fail-closed."""

import math
from dataclasses import dataclass

import numpy as np

from slipstream_builder import words
from slipstream_builder.arrays import Array, Scores
from slipstream_builder.gate import bounds
from slipstream_builder.measuring.latency import Timing
from slipstream_builder.validation.metrics import Metric

ISOLATION_TOLERANCE = 1e-5
"""How far, as a share of its largest value, a row's output may move when its batchmates change."""

_SMALLER = 0.95


@dataclass(frozen=True)
class Verdict:
    """One test's result, its reason in words with numbers, and how many items would decide it where too few did."""

    name: str
    passed: bool
    reason: str
    items_needed: int | None = None


@dataclass(frozen=True)
class AccuracyVerdict:
    """The accuracy test's verdict with the relative drop and its upper bound; None where there is none to give."""

    verdict: Verdict
    drop: float | None = None
    bound: float | None = None


def judge_accuracy(
    metric: Metric, baseline: Scores, candidate: Scores, *, max_drop: float, confidence: float, seed: int
) -> AccuracyVerdict:
    """Judge whether the relative loss is at most `max_drop`, at `confidence`, over paired per-item scores."""
    if reason := _undecidable(baseline, candidate):
        return AccuracyVerdict(Verdict("accuracy", False, reason))
    drop = bounds.relative_drop(baseline, candidate, metric.higher_is_better)
    bound = bounds.drop_bound(
        baseline,
        candidate,
        higher_is_better=metric.higher_is_better,
        binary=metric.binary,
        confidence=confidence,
        seed=seed,
    )
    if not math.isfinite(bound):
        return AccuracyVerdict(Verdict("accuracy", False, f"{metric.name}: the bound is not a number"), drop)
    text = (
        f"{metric.name} from {baseline.mean():.4f} to {candidate.mean():.4f}: {words.change(drop)}, "
        f"at most {bound:.2%} at {confidence:.0%} confidence"
    )
    if bound <= max_drop:
        return AccuracyVerdict(Verdict("accuracy", True, f"{text}, within {max_drop:.2%}"), drop, bound)
    needed = _items_needed(len(baseline), drop, bound, max_drop, confidence)
    advice = f"; about {needed} items would decide it" if needed else ""
    verdict = Verdict("accuracy", False, f"{text}, more than {max_drop:.2%}{advice}", needed)
    return AccuracyVerdict(verdict, drop, bound)


def judge_benefit(timings: tuple[Timing, ...], candidate_bytes: int, baseline_bytes: int) -> Verdict:
    """Judge whether the candidate is faster at one of the benchmark batches, beyond noise, or clearly smaller."""
    size = candidate_bytes / baseline_bytes
    text = ", ".join(
        f"{1 / t.ratio:.2f}x the speed at batch {t.batch} ({1 / t.high:.2f} to {1 / t.low:.2f})" for t in timings
    )
    text = f"{text}, {size:.0%} of the size"
    if any(timing.high < 1.0 for timing in timings) or size <= _SMALLER:
        return Verdict("benefit", True, text)
    return Verdict("benefit", False, f"neither faster nor smaller than the optimised original: {text}")


def judge_isolation(quiet: tuple[Array, ...], hostile: dict[str, tuple[Array, ...]]) -> Verdict:
    """Judge whether a row's outputs stay put when its batchmates change.

    Args:
        quiet: the outputs for the row among ordinary batchmates.
        hostile: by the batchmates' description, the outputs for the same row among them.
    """
    if not all(np.isfinite(output).all() for output in quiet):
        return Verdict("isolation", False, "a row among ordinary batchmates gave NaN or infinity")
    worst, culprit = 0.0, ""
    for mates, outputs in hostile.items():
        moved = max(_moved(before, after) for before, after in zip(quiet, outputs, strict=True))
        if moved > worst:
            worst, culprit = moved, mates
    if worst <= ISOLATION_TOLERANCE:
        kept = "bit for bit" if worst == 0 else f"within {worst:.1e}"
        return Verdict("isolation", True, f"rows keep their results {kept}, whatever shares their batch")
    extent = "to NaN or infinity" if math.isinf(worst) else f"by {worst:.2g} of its size"
    return Verdict("isolation", False, f"batchmates with {culprit} moved another row's result {extent}")


def _moved(before: Array, after: Array) -> float:
    if np.array_equal(before, after):
        return 0.0
    if not np.isfinite(after).all():
        return math.inf
    wide_before, wide_after = before.astype(np.float64), after.astype(np.float64)
    scale = max(float(np.abs(wide_before).max()), 1e-12)
    return float(np.abs(wide_after - wide_before).max()) / scale


def _undecidable(baseline: Scores, candidate: Scores) -> str | None:
    if len(baseline) != len(candidate) or len(baseline) < 2:
        return f"{len(baseline)} scores of the original against {len(candidate)} of the candidate cannot be paired"
    if not np.isfinite(baseline).all():
        return "the original gave NaN or infinity on a validation item"
    if not np.isfinite(candidate).all():
        return f"the candidate gave NaN or infinity on {int((~np.isfinite(candidate)).sum())} validation items"
    if baseline.mean() <= 0:
        return "the original scores 0, so a relative loss has no meaning"
    return None


def _items_needed(items: int, drop: float, bound: float, max_drop: float, confidence: float) -> int | None:
    """Estimate the items that would decide; the bound's distance from the loss shrinks with the root of their number.

    The least bound that so many items can show shrinks faster, with their number itself.
    """
    if drop >= max_drop:
        return None
    fewest = bounds.fewest_items(max_drop, confidence)
    if bound <= bounds.least_bound(items, confidence):
        return fewest
    return max(math.ceil(items * ((bound - drop) / (max_drop - drop)) ** 2), fewest, items + 1)
