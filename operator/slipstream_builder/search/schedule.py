"""Decides which candidate may start, which is not worth starting, and how long it will all take; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from slipstream_builder.search.cache import Record
from slipstream_builder.search.families import Candidate

HOPE = 2.0
"""Estimates may be wrong by this factor: only what could not fit even so is left out."""

_EARLY = 0.05
_EARLY_SECONDS = 10.0


@dataclass(frozen=True)
class Finished:
    """A candidate that needs no more time: built (and judged, in `record`), failed or skipped for `reason`."""

    status: Literal["built", "failed", "skipped"]
    reason: str = ""
    record: Record | None = None

    @property
    def inaccurate(self) -> bool:
        """Whether the accuracy gate refused it."""
        return self.record is not None and self.record.judgement is not None and self.record.judgement.inaccurate

    @property
    def impossible(self) -> bool:
        """Whether a technique refused the model, which a process that crashed or ran out of memory does not tell."""
        return self.record is not None and self.record.failure is not None


def in_order(candidates: Iterable[Candidate], finished: Mapping[str, Finished]) -> list[Candidate]:
    """Return the candidates as they should start: those whose milder relatives are still unknown come last."""
    return sorted(candidates, key=lambda candidate: any(name not in finished for name in candidate.milder))


def pointless(candidate: Candidate, finished: Mapping[str, Finished]) -> str | None:
    """Return why a milder relative's end leaves nothing to hope for `candidate`, or None."""
    for name in candidate.milder:
        if name not in finished:
            continue
        if finished[name].inaccurate:
            return f"left out: {name}, which takes less away, already loses too much"
        if finished[name].impossible:
            return f"left out: {name}, which does the same less far, cannot be built ({finished[name].reason})"
    return None


def unaffordable(estimate: float, left: float) -> str | None:
    """Return why there is no time for a candidate that takes about `estimate` seconds when `left` are left, or None."""
    if left <= 0:
        return "the time budget was spent before its turn"
    if estimate <= HOPE * left:
        return None
    return f"it would take about {estimate:.0f} s, and {left:.0f} s of the time budget were left at its turn"


def overrunning(fraction: float, spent: float, left: float) -> str | None:
    """Return why a candidate at `fraction` after `spent` seconds should stop now, judged by its own pace, or None."""
    if fraction < _EARLY or spent < _EARLY_SECONDS:
        return None
    missing = spent / fraction - spent
    if missing <= HOPE * max(left, 0.0):
        return None
    return (
        f"stopped after {spent:.0f} s, {fraction:.0%} done: at its pace it needs {missing:.0f} s more, "
        f"and {left:.0f} s of the time budget were left"
    )


def remaining(waiting: Iterable[float], running: Iterable[tuple[float, float, float]], workers: int) -> float:
    """Return the seconds until all are done: `waiting` estimates, and (estimate, fraction, spent) of what runs.

    What runs is judged by its own pace as soon as it has one.
    """
    missing = [
        spent / fraction - spent if fraction >= _EARLY else max(estimate - spent, 0.0)
        for estimate, fraction, spent in running
    ]
    return max([*missing, (sum(waiting) + sum(missing)) / workers])
