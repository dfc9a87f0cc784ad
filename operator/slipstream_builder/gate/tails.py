"""Tail probabilities of exponentially weighted sums: the one calculation behind every bound of the gate; pure."""

import math

import numpy as np

from slipstream_builder.arrays import Scores

_STEPS = 80


def tail_score(values: Scores, counts: Scores | float = 1.0) -> float:
    """Return z with P(sum of E_i values_i <= 0) = Phi(z), for independent exponential E_i of mean 1.

    `values` [items]; `counts` says how often each stands in the sum. The saddlepoint of the sum's cumulant function
    K(t) = -sum log(1 - t values_i) gives the probability to within a few per cent of itself, however small it is:
    Barndorff-Nielsen's r* = r + log(u / r) / r (Biometrika 78, 1991), with r = -+sqrt(-2 K) and u = t sqrt(K'').
    """
    low, high = float(values.min()), float(values.max())
    if low >= 0.0:
        return -math.inf if high > 0.0 else math.inf
    if high <= 0.0:
        return math.inf
    scaled = values / max(high, -low)
    weights = np.broadcast_to(np.asarray(counts, dtype=np.float64), scaled.shape)
    saddle = _saddle(scaled, weights)
    shrunk = 1.0 - saddle * scaled
    cumulant = -float(weights @ np.log(shrunk))
    root = math.copysign(math.sqrt(max(-2.0 * cumulant, 0.0)), saddle)
    if abs(root) < 1e-4:
        return 0.0
    spread = saddle * math.sqrt(float(weights @ (scaled / shrunk) ** 2))
    return root + math.log(spread / root) / root


def _saddle(values: Scores, weights: Scores) -> float:
    """Return the t where K'(t) = 0: Newton's steps, and halves of the bracket where one leaves it."""
    low, high = 1.0 / float(values.min()), 1.0 / float(values.max())
    saddle = 0.0
    for _ in range(_STEPS):
        tilted = values / (1.0 - saddle * values)
        slope, curvature = float(weights @ tilted), float(weights @ tilted**2)
        if abs(slope) <= 1e-9 * math.sqrt(curvature):
            break
        low, high = (low, saddle) if slope > 0 else (saddle, high)
        step = saddle - slope / curvature
        saddle = step if low < step < high else (low + high) / 2.0
    return saddle
