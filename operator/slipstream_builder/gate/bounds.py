"""Confidence bounds for paired scores; pure and without chance: the same scores always give the same bound.

A relative loss D is judged by the items' contrasts x_i = gain_i + D baseline_i, whose mean is positive exactly where
the true loss is below D (Fieller 1954: no ratio is estimated). Their mean is bounded as Gaffke (2005) bounds it: one
item is added that fares as badly as any could, the items get exponential weights, and D is refused as long as the
weighted sum may be negative. Where scores are 0 or 1 and none is gained, that is the exact bound of Clopper and Pearson
(1934); no distribution within the same ends is known that breaks it (Learned-Miller and Thomas 2020), however skewed.
docs/gate.md has the figures.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from slipstream_builder.arrays import Scores
from slipstream_builder.gate.tails import tail_score

_NORMAL = NormalDist()
_POWER = 0.95
_FAR = 40.0
_MOST_TIMES = 1e6
_UNSEEN = 2.5


def fewest_items(max_drop: float, confidence: float) -> int:
    """Return the fewest items that can show a relative loss to be at most `max_drop` at `confidence`.

    Fewer cannot, whatever they look like: with probability 1 - confidence, a share -log(1 - confidence) / n of all
    items stays unseen (the rule of three), and could lose everything.
    """
    return math.ceil(-math.log(1.0 - confidence) / max_drop)


def relative_drop(baseline: Scores, candidate: Scores, higher_is_better: bool) -> float:
    """Return the loss of the candidate's mean as a share of the size of the baseline's; negative when it gained."""
    before = float(baseline.mean())
    worse = before - float(candidate.mean())
    return (worse if higher_is_better else -worse) / abs(before)


def drop_bound(baseline: Scores, candidate: Scores, *, higher_is_better: bool, confidence: float) -> float:
    """Return the one-sided upper confidence bound of the relative drop over paired items.

    Infinite where the baseline's own mean may be zero, so that no share of it means anything.
    """
    pairs = _pairs(baseline, candidate, higher_is_better)
    limit = _NORMAL.inv_cdf(1.0 - confidence)
    width = 2.0 * pairs.error(pairs.drop) + pairs.worst / pairs.items
    return _crossing(lambda drop: pairs.score(drop) - limit, pairs.drop, width)


def items_needed(
    baseline: Scores, candidate: Scores, *, higher_is_better: bool, max_drop: float, confidence: float
) -> int | None:
    """Return how many items like these would show the loss to be at most `max_drop`, with some luck to spare.

    The items at hand are counted several times over until they would. None where they show a larger loss.
    """
    pairs = _pairs(baseline, candidate, higher_is_better)
    if pairs.drop >= max_drop:
        return None
    limit = _NORMAL.inv_cdf(1.0 - confidence)

    def too_few(times: float) -> bool:
        luck = _NORMAL.inv_cdf(_POWER) * pairs.error(max_drop) / math.sqrt(times)
        return pairs.score(max_drop - luck, times) > limit

    low, high = 1.0, 2.0
    while too_few(high):
        low, high = high, 2.0 * high
        if high > _MOST_TIMES:
            return None
    while high - low > 1e-3 * low:
        middle = (low + high) / 2.0
        low, high = (middle, high) if too_few(middle) else (low, middle)
    return max(math.ceil(pairs.items * high), pairs.items + 1)


def mcnemar(baseline: Scores, candidate: Scores) -> tuple[int, int, float]:
    """Return how many answers were lost and gained, and the exact one-sided probability of as many losses by chance.

    McNemar's test (Psychometrika 12, 1947): given the answers that changed, half of them are losses if nothing was lost
    but by chance. It asks whether there is any loss at all; the bound asks whether there is too much.
    """
    lost = int(((baseline > 0.5) & (candidate < 0.5)).sum())
    gained = int(((baseline < 0.5) & (candidate > 0.5)).sum())
    changed = lost + gained
    logs = [
        math.lgamma(changed + 1) - math.lgamma(k + 1) - math.lgamma(changed - k + 1) for k in range(lost, changed + 1)
    ]
    return lost, gained, min(1.0, math.fsum(math.exp(log - changed * math.log(2.0)) for log in logs))


def mean_interval(scores: Scores, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of the mean: the quantiles of Rubin's (1981) Bayesian bootstrap."""
    mean, width = float(scores.mean()), float(scores.std()) / math.sqrt(len(scores))
    if width == 0.0:
        return mean, mean
    limit = _NORMAL.inv_cdf((1.0 - confidence) / 2.0)
    low = _crossing(lambda down: tail_score(scores - mean + down) - limit, 0.0, 2.0 * width)
    high = _crossing(lambda up: tail_score(mean + up - scores) - limit, 0.0, 2.0 * width)
    return mean - low, mean + high


@dataclass(frozen=True)
class _Pairs:
    """Every item's gain and baseline as shares of the size of the baseline's mean, and the item that is added.

    `worst` is what the added item loses, `best` its baseline.
    """

    gains: Scores
    baselines: Scores
    worst: float
    best: float

    @property
    def items(self) -> int:
        return len(self.gains)

    @property
    def drop(self) -> float:
        return -float(self.gains.mean())

    def error(self, drop: float) -> float:
        """Return the standard error of the mean contrast at `drop`."""
        return float((self.gains + drop * self.baselines).std()) / math.sqrt(self.items)

    def score(self, drop: float, times: float = 1.0) -> float:
        """Return z where Phi(z) is the doubt that the true loss is below `drop`, every item counted `times` over."""
        contrasts = np.append(self.gains + drop * self.baselines, drop * self.best - self.worst)
        return tail_score(contrasts, np.append(np.full(self.items, times), 1.0))


def _pairs(baseline: Scores, candidate: Scores, higher_is_better: bool) -> _Pairs:
    """Return the pairs with the worst item there could be.

    A score can fall from the best that was seen to the worst, or to zero. An error has no such end: the item is taken
    to lose two and a half times the worst loss that was seen, and at least the mean error.
    """
    mean = float(baseline.mean())
    before, after = baseline / abs(mean), candidate / abs(mean)
    towards = 1.0 if mean > 0 else -1.0
    if higher_is_better:
        best = float(before.max())
        worst = best - min(0.0, float(before.min()), float(after.min()))
        return _Pairs(after - before, before * towards, worst, best * towards)
    worst = max(_UNSEEN * float((after - before).max()), 1.0)
    return _Pairs(before - after, before * towards, worst, 0.0)


def _crossing(function: Callable[[float], float], start: float, width: float) -> float:
    """Return where `function` falls through 0 above `start`, from above by at most a millionth of the way there.

    Infinity where it never does. The Illinois variant of the false position (Dowell and Jarratt 1971).
    """
    low, low_value = start, min(function(start), _FAR)
    if low_value <= 0.0:
        return start
    high, high_value = start + width, function(start + width)
    while high_value > 0.0:
        low, low_value = high, min(high_value, _FAR)
        width *= 2.0
        high = start + width
        high_value = function(high)
        if width > _MOST_TIMES:
            return math.inf
    high_value = max(high_value, -_FAR)
    while high - low > 1e-6 * (high - start):
        middle = (low * high_value - high * low_value) / (high_value - low_value)
        value = max(min(function(middle), _FAR), -_FAR)
        if value > 0.0:
            low, low_value, high_value = middle, value, high_value / 2.0
        else:
            high, high_value, low_value = middle, value, low_value / 2.0
    return high
