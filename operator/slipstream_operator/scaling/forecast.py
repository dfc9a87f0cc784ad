"""The demand to be ready for: what a replica ordered now will meet when it has started.

Three looks at the rates of successive intervals, of which the greatest counts, since too little capacity hurts more
than too much: their upper quantile, the newest as far as it is surely above chance, and Holt's linear trend.
"""

import math
from collections.abc import Sequence

LEVEL_WEIGHT = 0.5
TREND_WEIGHT = 0.3
"""Holt's smoothing of level and trend: half the weight of the level on the last interval, slower for the trend."""


def forecast(
    rates: Sequence[float],
    interval_seconds: float,
    ahead_seconds: float,
    quantile: float = 0.9,
    recent: int = 6,
    growth_limit: float = 2.0,
) -> float:
    """Return the requests per second to expect `ahead_seconds` from now.

    Args:
        rates: requests per second of successive intervals, oldest first.
        interval_seconds: the length of an interval.
        ahead_seconds: how far to look ahead, which is how long a replica takes to start.
        quantile: upper quantile of the last `recent` intervals that the answer is never below.
        recent: how many intervals the quantile looks at.
        growth_limit: the trend's answer is at most this many times the greatest recent rate.
    """
    if not rates:
        return 0.0
    last = rates[-recent:]
    certain = rates[-1] - 2 * _noise(rates[-1], interval_seconds)
    trend = min(_trend(rates, interval_seconds, ahead_seconds), growth_limit * max(last))
    return max(upper_quantile(last, quantile), certain, trend)


def upper_quantile(values: Sequence[float], quantile: float) -> float:
    """Return the quantile (0 to 1) of the values, linear between them."""
    ordered = sorted(values)
    place = quantile * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def holt(values: Sequence[float]) -> tuple[float, float]:
    """Return level and trend per interval by Holt's linear method (1957), begun at the first value without trend."""
    level, trend = values[0], 0.0
    for value in values[1:]:
        previous = level
        level = LEVEL_WEIGHT * value + (1 - LEVEL_WEIGHT) * (level + trend)
        trend = TREND_WEIGHT * (level - previous) + (1 - TREND_WEIGHT) * trend
    return level, trend


def _trend(rates: Sequence[float], interval_seconds: float, ahead_seconds: float) -> float:
    """Return the trend's rate ahead; a rise within the noise of one interval is none, or steady load would grow."""
    level, trend = holt(rates)
    rise = trend * ahead_seconds / interval_seconds
    return level + max(0.0, rise - _noise(level, interval_seconds))


def _noise(rate: float, interval_seconds: float) -> float:
    """Return the standard deviation of an interval's rate if arrivals are Poisson, in requests per second."""
    return math.sqrt(max(rate, 0.0) / interval_seconds)
