"""Confidence bounds for paired scores; pure and seeded.

The bound on a relative loss is Tango's score bound (Statistics in Medicine 17, 1998) where scores are 0 or 1, and the
bias-corrected and accelerated bootstrap (Efron 1987) otherwise. Neither may promise more than the items can show: of
n items, a share of up to -ln(1 - confidence) / n could lose all and still stay unseen (the rule of three), so no
bound is smaller than that.
"""

import math
from statistics import NormalDist

import numpy as np

from slipstream_builder.arrays import Scores

_RESAMPLES = 5000
_CELLS = 4_000_000
_NORMAL = NormalDist()


def fewest_items(max_drop: float, confidence: float) -> int:
    """Return the fewest items that can show a relative loss to be at most `max_drop` at `confidence`."""
    return math.ceil(-math.log(1.0 - confidence) / max_drop)


def least_bound(items: int, confidence: float) -> float:
    """Return the smallest bound that `items` can support, however well they look."""
    return -math.log(1.0 - confidence) / items


def relative_drop(baseline: Scores, candidate: Scores, higher_is_better: bool) -> float:
    """Return the loss of the candidate's mean as a share of the baseline's; negative when it gained."""
    change = float(candidate.mean() / baseline.mean()) - 1.0
    return -change if higher_is_better else change


def drop_bound(
    baseline: Scores, candidate: Scores, *, higher_is_better: bool, binary: bool, confidence: float, seed: int
) -> float:
    """Return the one-sided upper confidence bound of the relative drop over paired items."""
    if binary:
        lost = int(((baseline > 0.5) & (candidate < 0.5)).sum())
        gained = int(((baseline < 0.5) & (candidate > 0.5)).sum())
        bound = tango_upper(lost, gained, len(baseline), confidence) / float(baseline.mean())
    else:
        bound = bootstrap_upper(baseline, candidate, higher_is_better, confidence, seed)
    return max(bound, least_bound(len(baseline), confidence))


def tango_upper(lost: int, gained: int, items: int, confidence: float) -> float:
    """Return the upper score bound of the difference of two paired proportions, (lost - gained) / items.

    The bound is the largest difference d that the score test does not reject:
    (lost - gained - n d) / sqrt(n (2 q + d (1 - d))) >= -z, with q the restricted maximum-likelihood estimate of the
    share of items that gained.
    """
    z = _NORMAL.inv_cdf(confidence)
    low, high = (lost - gained) / items, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _tango_score(lost, gained, items, middle) > -z else (low, middle)
    return high


def bootstrap_upper(baseline: Scores, candidate: Scores, higher_is_better: bool, confidence: float, seed: int) -> float:
    """Return the bias-corrected and accelerated upper bound of the relative drop, resampling items in pairs."""
    sign = -1.0 if higher_is_better else 1.0
    observed = sign * (float(candidate.mean() / baseline.mean()) - 1.0)
    bases, candidates = _resampled_means(np.stack([baseline, candidate]), seed)
    drops = np.sort(sign * (candidates / bases - 1.0))
    below = float((drops < observed).mean() + 0.5 * (drops == observed).mean())
    if below in (0.0, 1.0) or drops[0] == drops[-1]:
        return float(drops[-1])
    level = _accelerated_level(below, _acceleration(baseline, candidate, sign), confidence)
    return float(drops[min(math.ceil(level * len(drops)), len(drops) - 1)])


def mean_interval(scores: Scores, seed: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided bootstrap interval of the mean."""
    means = _resampled_means(scores[None, :], seed)[0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled_means(scores: Scores, seed: int) -> Scores:
    """Return [rows, resamples] of means of `scores` [rows, items], every row resampled alike, in bounded memory."""
    generator = np.random.default_rng(seed)
    items = scores.shape[1]
    means = np.empty((len(scores), _RESAMPLES))
    step = max(1, _CELLS // items)
    for start in range(0, _RESAMPLES, step):
        stop = min(start + step, _RESAMPLES)
        drawn = generator.integers(0, items, size=(stop - start, items))
        for row, values in zip(means, scores, strict=True):
            row[start:stop] = values[drawn].mean(axis=1)
    return means


def _acceleration(baseline: Scores, candidate: Scores, sign: float) -> float:
    """Return the acceleration: the skewness of the jackknife values of the drop, over 6."""
    without = sign * (candidate.sum() - candidate) / (baseline.sum() - baseline)
    centred = without.mean() - without
    spread = float((centred**2).sum()) ** 1.5
    return float((centred**3).sum()) / (6.0 * spread) if spread > 0 else 0.0


def _accelerated_level(below: float, acceleration: float, confidence: float) -> float:
    bias, z = _NORMAL.inv_cdf(below), _NORMAL.inv_cdf(confidence)
    shrink = 1.0 - acceleration * (bias + z)
    return _NORMAL.cdf(bias + (bias + z) / shrink) if shrink > 0 else 1.0


def _tango_score(lost: int, gained: int, items: int, difference: float) -> float:
    a = 2.0 * items
    b = -lost - gained + (2.0 * items - lost + gained) * difference
    c = -gained * difference * (1.0 - difference)
    share = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = items * (2.0 * share + difference * (1.0 - difference))
    excess = lost - gained - items * difference
    return excess / math.sqrt(variance) if variance > 0 else (0.0 if excess == 0 else math.copysign(math.inf, excess))
