"""What a candidate must pass before it may serve: accuracy, on the whole and by slice, and benefit; pure."""

import math
from dataclasses import dataclass

import numpy as np

from slipstream_builder import words
from slipstream_builder.arrays import Array, Scores
from slipstream_builder.gate import bounds
from slipstream_builder.measuring.latency import Timing
from slipstream_builder.validation.metrics import Metric

_SMALLER = 0.95
_AS_FAST = 1.05
_TOLD = 3


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
    metric: Metric, baseline: Scores, candidate: Scores, *, max_drop: float, confidence: float
) -> AccuracyVerdict:
    """Judge whether the relative loss is at most `max_drop`, at `confidence`, over paired per-item scores."""
    if reason := _undecidable(baseline, candidate):
        return AccuracyVerdict(Verdict("accuracy", False, reason))
    higher = metric.higher_is_better
    # Finite scores may still be too large for their squares; the bound then comes out as NaN, and fails.
    with np.errstate(over="ignore", invalid="ignore"):
        drop = bounds.relative_drop(baseline, candidate, higher)
        bound = bounds.drop_bound(baseline, candidate, higher_is_better=higher, confidence=confidence)
    if math.isnan(drop) or math.isnan(bound):
        return AccuracyVerdict(Verdict("accuracy", False, f"{metric.name}: the bound is not a number"))
    text = f"{metric.name} from {baseline.mean():.4f} to {candidate.mean():.4f}: {words.change(drop)}"
    if metric.binary:
        lost, gained, chance = bounds.mcnemar(baseline, candidate)
        text += f" ({lost} items lost, {gained} gained; exact McNemar p = {chance:.2g})"
    if math.isinf(bound):
        text += ", too near 0 for a share of it to be bounded"
        needed = _needed(metric, baseline, candidate, max_drop, confidence)
        return AccuracyVerdict(Verdict("accuracy", False, f"{text}{_advice(needed)}", needed), drop)
    text += f", at most {bound:.2%} at {confidence:.0%} confidence"
    if bound <= max_drop:
        return AccuracyVerdict(Verdict("accuracy", True, f"{text}, within {max_drop:.2%}"), drop, bound)
    needed = _needed(metric, baseline, candidate, max_drop, confidence)
    verdict = Verdict("accuracy", False, f"{text}, more than {max_drop:.2%}{_advice(needed)}", needed)
    return AccuracyVerdict(verdict, drop, bound)


def judge_slices(
    metric: Metric, baseline: Scores, candidate: Scores, slices: Array, *, max_drop: float, confidence: float
) -> Verdict:
    """Judge whether every slice's own relative loss is at most `max_drop`; `slices` [items] names each item's slice.

    All slices must pass, each at the full confidence. That needs no correction for their number: a candidate too bad on
    one slice passes at most as often as that one test errs (intersection-union test, Berger 1982).
    """
    if not len(slices) == len(baseline) == len(candidate):
        return Verdict(
            "slices",
            False,
            f"{len(slices)} slice names for {len(baseline)} and {len(candidate)} scores: not one an item",
        )
    names = np.unique(slices)
    if len(names) == 0:
        return Verdict("slices", False, "there is no slice to judge")
    found = {
        str(name): judge_accuracy(
            metric, baseline[slices == name], candidate[slices == name], max_drop=max_drop, confidence=confidence
        )
        for name in names
    }
    failed = {name: judged.verdict for name, judged in found.items() if not judged.verdict.passed}
    if not failed:
        worst = max(found, key=lambda name: found[name].bound or 0.0)
        reason = (
            f"{len(found)} slices, each within {max_drop:.2%}; nearest to it {worst!r}: {found[worst].verdict.reason}"
        )
        return Verdict("slices", True, reason)
    told = "; ".join(f"slice {name!r}: {verdict.reason}" for name, verdict in list(failed.items())[:_TOLD])
    more = f"; and {len(failed) - _TOLD} more slices" if len(failed) > _TOLD else ""
    needed = [verdict.items_needed for verdict in failed.values()]
    most = max((count for count in needed if count is not None), default=None)
    reason = f"{len(failed)} of {len(found)} slices not shown to keep within {max_drop:.2%}: {told}{more}"
    return Verdict("slices", False, reason, None if None in needed else most)


def judge_benefit(
    timings: tuple[Timing, ...],
    candidate_bytes: int,
    baseline_bytes: int,
    compressed: tuple[int, int] | None = None,
) -> Verdict:
    """Judge whether the candidate is worth keeping: faster, smaller, or at least smaller to store and to send.

    Faster: beyond noise at one of the benchmark batches. Smaller: at most 95 % of the bytes, and what slowness costs is
    less than what size saves: fewer byte-seconds a request, beyond noise, at every batch. Smaller only when compressed
    (`compressed`: the candidate's and the baseline's bytes): at most 95 % of those, and as fast.
    """
    if not timings or baseline_bytes <= 0 or candidate_bytes <= 0:
        return Verdict("benefit", False, "it was not measured against the optimised original")
    size = candidate_bytes / baseline_bytes
    text = ", ".join(
        f"{1 / t.ratio:.2f}x the speed at batch {t.batch} ({1 / t.high:.2f} to {1 / t.low:.2f})" for t in timings
    )
    text = f"{text}, {size:.0%} of the size"
    stored = None if compressed is None else compressed[0] / max(compressed[1], 1)
    if stored is not None:
        text += f", {stored:.0%} when compressed"
    if any(timing.high < 1.0 for timing in timings):
        return Verdict("benefit", True, text)
    if size <= _SMALLER and all(size * timing.high < 1.0 for timing in timings):
        return Verdict("benefit", True, f"{text}: kept for its size")
    if stored is not None and stored <= _SMALLER and all(timing.low <= _AS_FAST for timing in timings):
        return Verdict("benefit", True, f"{text}: it helps storage and downloads only, neither speed nor memory")
    return Verdict("benefit", False, f"{_no_benefit(size, stored)}: {text}")


def _no_benefit(size: float, stored: float | None) -> str:
    if size <= _SMALLER:
        return "it costs more time than it saves memory"
    if stored is not None and stored <= _SMALLER:
        return "slower, and smaller only when compressed"
    return "neither faster nor smaller than the optimised original"


def _undecidable(baseline: Scores, candidate: Scores) -> str | None:
    if len(baseline) != len(candidate) or len(baseline) < 2:
        return f"{len(baseline)} scores of the original against {len(candidate)} of the candidate cannot be paired"
    if not np.isfinite(baseline).all():
        return f"the original gave NaN or infinity on {int((~np.isfinite(baseline)).sum())} validation items"
    if not np.isfinite(candidate).all():
        return f"the candidate gave NaN or infinity on {int((~np.isfinite(candidate)).sum())} validation items"
    if baseline.mean() == 0:
        return "the original scores 0, so a relative loss has no meaning"
    return None


def _needed(metric: Metric, baseline: Scores, candidate: Scores, max_drop: float, confidence: float) -> int | None:
    return bounds.items_needed(
        baseline, candidate, higher_is_better=metric.higher_is_better, max_drop=max_drop, confidence=confidence
    )


def _advice(needed: int | None) -> str:
    return f"; about {needed} items like these would decide it" if needed else ""
