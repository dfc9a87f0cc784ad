"""Confidence bounds for paired scores; pure and seeded.

The bound on a relative loss is Tango's score bound (Statistics in Medicine 17, 1998) where scores are 0 or 1, and the
bootstrap-t (Efron and Tibshirani 1993, chapter 12) otherwise, which keeps its word on skewed scores where the
percentile bootstrap does not. Where hardly any item changed, resampling cannot see what it might have missed: the items
that lost are counted instead, and the most there could be (Poisson) each lose as much as the worst of them.

No bound promises more than the items can show: of n items, a share of up to -ln(1 - confidence) / n could lose all and
still stay unseen (the rule of three), so no bound is smaller than that.
"""

import math
from statistics import NormalDist

import numpy as np

from slipstream_builder.arrays import Scores

_RESAMPLES = 4000
_FEW = 10
_ROUNDING = 1e-12
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
    elif int((baseline != candidate).sum()) < _FEW:
        bound = rare_upper(baseline, candidate, higher_is_better, confidence)
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
    """Return the bootstrap-t upper bound of the relative drop, resampling items in pairs."""
    products = np.stack([baseline, candidate, baseline**2, baseline * candidate, candidate**2])
    sign, items = (-1.0 if higher_is_better else 1.0), len(baseline)
    drop, error = _drop_and_error(products.mean(axis=1), sign, items)
    if error == 0:
        return float(drop)
    drops, errors = _drop_and_error(_resampled_means(products, seed), sign, items)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A resample without an error of its own, all its pairs alike, lies at one of the ends.
        studentised = np.where(drops == drop, 0.0, (drops - drop) / errors)
    lowest = np.quantile(studentised, 1.0 - confidence, method="lower")
    return float(drop - lowest * error)


def rare_upper(baseline: Scores, candidate: Scores, higher_is_better: bool, confidence: float) -> float:
    """Return the upper bound of the relative drop where few items changed; gains do not count."""
    losses = (baseline - candidate) * (1.0 if higher_is_better else -1.0) / baseline.mean()
    worst = float(losses.max())
    if worst <= 0:
        return least_bound(len(baseline), confidence)
    return poisson_upper(int((losses > 0).sum()), confidence) / len(baseline) * worst


def poisson_upper(events: int, confidence: float) -> float:
    """Return the largest mean with which as few as `events` still happen with probability 1 - confidence."""
    low, high = float(events), events + 10.0 * math.sqrt(events + 1.0) + 30.0
    for _ in range(60):
        mean = (low + high) / 2
        few = sum(math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1)) for count in range(events + 1))
        low, high = (mean, high) if few > 1.0 - confidence else (low, mean)
    return high


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
        places = drawn + np.arange(stop - start)[:, None] * items
        times = np.bincount(places.ravel(), minlength=places.size).reshape(places.shape)
        means[:, start:stop] = scores @ times.T / items
    return means


def _drop_and_error(means: Scores, sign: float, items: int) -> tuple[Scores, Scores]:
    """Return the relative drop and its standard error (delta method for a ratio), from the means of the products."""
    ratio = means[1] / means[0]
    variance = means[4] - 2.0 * ratio * means[3] + ratio**2 * means[2]
    variance = np.where(variance < _ROUNDING * means[4], 0.0, variance)
    return sign * (ratio - 1.0), np.sqrt(variance / items) / means[0]


def _tango_score(lost: int, gained: int, items: int, difference: float) -> float:
    a = 2.0 * items
    b = -lost - gained + (2.0 * items - lost + gained) * difference
    c = -gained * difference * (1.0 - difference)
    share = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = items * (2.0 * share + difference * (1.0 - difference))
    excess = lost - gained - items * difference
    return excess / math.sqrt(variance) if variance > 0 else (0.0 if excess == 0 else math.copysign(math.inf, excess))
