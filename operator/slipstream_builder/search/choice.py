"""Chooses among the candidates that passed: which to keep, and which to serve; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_KEPT = 4


@dataclass(frozen=True)
class Figures:
    """What the choice weighs: relative loss of the metric, seconds of a batch of 32, bytes; less is better."""

    name: str
    drop: float
    seconds: float
    bytes: int


def keep(baseline: Figures, passed: Sequence[Figures]) -> tuple[str, ...]:
    """Return the names to keep: the baseline, and of the rest the fastest that no other beats in everything."""
    best = [figures for figures in passed if not any(_dominates(other, figures) for other in passed)]
    fastest = sorted(best, key=lambda figures: (figures.seconds, figures.name))[: MAX_KEPT - 1]
    return (baseline.name, *(figures.name for figures in fastest))


def choose(kept: Sequence[Figures]) -> str:
    """Return the name of the fastest at batch 32."""
    return min(kept, key=lambda figures: (figures.seconds, figures.bytes, figures.name)).name


def _dominates(one: Figures, other: Figures) -> bool:
    mine, theirs = (one.drop, one.seconds, one.bytes), (other.drop, other.seconds, other.bytes)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))
