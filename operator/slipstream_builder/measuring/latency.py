"""Turns raw timings into a latency curve and ratios with intervals; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from slipstream_contract.manifest import LatencyCurve

SERVED_BATCH = 32
"""The batch size that variants are compared at."""


@dataclass(frozen=True)
class Timing:
    """The candidate's latency over the original's at one batch size, and its 95 % interval."""

    batch: int
    ratio: float
    low: float
    high: float


def fit(points: Mapping[int, float]) -> LatencyCurve:
    """Fit T(b) = alpha + beta b to (batch, seconds), minimising squared relative errors, neither part negative."""
    weights = {batch: 1.0 / seconds**2 for batch, seconds in points.items()}
    w = sum(weights.values())
    wb = sum(weight * batch for batch, weight in weights.items())
    wbb = sum(weight * batch**2 for batch, weight in weights.items())
    wt = sum(weight * points[batch] for batch, weight in weights.items())
    wbt = sum(weight * batch * points[batch] for batch, weight in weights.items())
    determinant = w * wbb - wb * wb
    beta = (w * wbt - wb * wt) / determinant if determinant > 0 else 0.0
    alpha = (wt - beta * wb) / w
    if beta < 0:
        alpha, beta = wt / w, 0.0
    elif alpha < 0:
        alpha, beta = 0.0, wbt / wbb
    residual = max(abs(alpha + beta * batch - seconds) / seconds for batch, seconds in points.items())
    return LatencyCurve(alpha, beta, residual, tuple(sorted(points.items())))


def compare(batch: int, candidate: Sequence[float], baseline: Sequence[float]) -> Timing:
    """Return the median ratio of paired timings, with the order-statistic interval of the median."""
    ratios = sorted(a / b for a, b in zip(candidate, baseline, strict=True))
    skip = median_rank(len(ratios))
    return Timing(batch, median(ratios), ratios[skip], ratios[len(ratios) - 1 - skip])


def median_rank(count: int, confidence: float = 0.95) -> int:
    """Return how many values to leave out at each end so that the rest holds the median at `confidence`."""
    tail, rank = 0.0, 0
    while rank < (count - 1) // 2:
        tail += math.comb(count, rank) / 2.0**count
        if 2 * tail > 1 - confidence:
            break
        rank += 1
    return max(rank - 1, 0)
