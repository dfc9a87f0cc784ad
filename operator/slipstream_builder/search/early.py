"""Stops judging a candidate that is beyond hope, from its scores on the first items of a seeded order; pure."""

import math

import numpy as np

from slipstream_builder.arrays import Array, Scores
from slipstream_builder.gate import bounds

FEWEST_ITEMS = 200
FEWEST_CHANGED = 30
LOOKS = (0.125, 0.25, 0.5)
"""The shares of the items after which the question is asked."""

_DEVIATIONS = 5.0
"""Five standard errors: one hopeful candidate in three million would be stopped wrongly, and the gate asks for more."""


def order(items: int, seed: int) -> list[Array]:
    """Return the items' indices in seeded order, cut where a look is due."""
    shuffled = np.random.default_rng([seed, items]).permutation(items)
    cuts = sorted({int(items * share) for share in LOOKS if items * share >= FEWEST_ITEMS})
    return np.split(shuffled, cuts)


def least_drop(baseline: Scores, seen: Array, candidate: Scores, higher_is_better: bool) -> float:
    """Return the smallest relative loss over all items that the candidate's scores on the items `seen` leave open.

    The seen items are a random part without replacement, so the mean over all n lies within z s sqrt((n - k) / (n k))
    of the mean over the k seen (s: the deviation of the paired differences). With few changes nothing is said: -inf.
    """
    lost = (baseline[seen] - candidate) * (1.0 if higher_is_better else -1.0)
    items, looked = len(baseline), len(seen)
    if looked < FEWEST_ITEMS or int((lost != 0).sum()) < FEWEST_CHANGED or not np.isfinite(lost).all():
        return -math.inf
    spread = float(lost.std(ddof=1)) * math.sqrt((items - looked) / (items * looked))
    return (float(lost.mean()) - _DEVIATIONS * spread) / abs(float(baseline.mean()))


def hopeless(
    baseline: Scores, seen: Array, candidate: Scores, *, higher_is_better: bool, max_drop: float
) -> str | None:
    """Return why the candidate cannot keep within `max_drop` any more, or None while it may."""
    least = least_drop(baseline, seen, candidate, higher_is_better)
    if not least > max_drop:
        return None
    drop = bounds.relative_drop(baseline[seen], candidate, higher_is_better)
    return (
        f"stopped after {len(seen)} of {len(baseline)} items: {drop:.2%} lost on these, "
        f"so at the very best {least:.2%} on all, more than {max_drop:.2%}"
    )
