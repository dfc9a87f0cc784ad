"""Chooses among the candidates that passed: at which batch to compare, which to keep, and which to serve; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from slipstream_builder import words
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.recipe import Objective

MAX_KEPT = 4
BATCHES = (1, 2, 4, 8, 16, SERVED_BATCH)
OBJECTIVE_SHARE = 0.5
"""A request may have to wait for the batch before its own, so a batch may take half of what the objective allows."""


@dataclass(frozen=True)
class Figures:
    """What the choice weighs: relative loss of the metric, seconds of a batch, bytes; less is better."""

    name: str
    drop: float
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Load:
    """The batch that a replica will run under the objective, and why, in a clause."""

    batch: int
    reason: str


def load_under(objective: Objective, curves: Sequence[LatencyCurve]) -> Load:
    """Return the largest batch, up to 32, that the fastest of `curves` serves within half of the objective."""
    allowed = OBJECTIVE_SHARE * objective.latency_milliseconds / 1e3
    within = [batch for batch in BATCHES if min(curve.measured_seconds(batch) for curve in curves) <= allowed]
    bound = f"half of the {objective.latency_milliseconds} ms that p{objective.percentile:g} may take"
    if not within:
        fastest = words.duration(min(curve.measured_seconds(1) for curve in curves))
        return Load(1, f"even a single row takes {fastest}, more than {bound}, so single rows count")
    batch = within[-1]
    takes = words.duration(min(curve.measured_seconds(batch) for curve in curves))
    if batch == SERVED_BATCH:
        return Load(batch, f"a batch of {batch} takes {takes}, within {bound}")
    rows = "single rows are" if batch == 1 else f"a batch of {batch} is"
    return Load(batch, f"{rows} the most that keeps within {bound} ({takes})")


def keep(baseline: Figures, passed: Sequence[Figures]) -> tuple[str, ...]:
    """Return the names to keep: the baseline, and of the rest those that no other beats in everything.

    Where these are too many, the smallest stays, and otherwise the fastest.
    """
    best = [figures for figures in passed if not any(_dominates(other, figures) for other in passed)]
    by_speed = sorted(best, key=lambda figures: (figures.seconds, figures.name))
    smallest = sorted(best, key=lambda figures: (figures.bytes, figures.seconds, figures.name))[:1]
    wanted = dict.fromkeys(figures.name for figures in (*by_speed[:1], *smallest, *by_speed))
    names = list(wanted)[: MAX_KEPT - 1]
    return (baseline.name, *(figures.name for figures in by_speed if figures.name in names))


def choose(kept: Sequence[Figures]) -> str:
    """Return the name of the fastest."""
    return min(kept, key=lambda figures: (figures.seconds, figures.bytes, figures.name)).name


def _dominates(one: Figures, other: Figures) -> bool:
    mine, theirs = (one.drop, one.seconds, one.bytes), (other.drop, other.seconds, other.bytes)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))
