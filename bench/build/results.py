"""What was measured, as it is kept in results.json: one record a model, merged over runs."""

from dataclasses import dataclass
from pathlib import Path

from bench.shared.machine import Machine
from bench.shared.results import CaseResults
from slipstream_builder.measuring.latency import Timing

FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Entry:
    """One contender: ours, or another tool's; without a model, `reason` says why, else what the gates said.

    `timings` compare with the optimised original, `ours_over_it` (peers only) our chosen variant with it, at the
    batch size that decides; ratios of seconds, so below 1 is faster. `drop` is the relative loss of the metric and
    `bound` its upper confidence bound.
    """

    name: str
    techniques: tuple[str, ...]
    passed: bool
    reason: str
    bytes: int | None = None
    metric: float | None = None
    drop: float | None = None
    bound: float | None = None
    timings: tuple[Timing, ...] = ()
    ours_over_it: Timing | None = None


@dataclass(frozen=True)
class CaseResult:
    """One model's results: the first entry is ours. `metric` is the original's; times in seconds."""

    name: str
    day: str
    items: int
    metric: float
    original_bytes: int
    source_bytes: int
    original_milliseconds: dict[str, float]
    build_seconds: float
    build_peak_bytes: int
    entries: tuple[Entry, ...]
    machine: Machine

    @property
    def ours(self) -> Entry:
        """The variant that our builder chose."""
        return self.entries[0]

    @property
    def peers(self) -> tuple[Entry, ...]:
        """The other tools' models."""
        return self.entries[1:]


@dataclass(frozen=True)
class Results(CaseResults[CaseResult]):
    """All models measured so far."""

    cases: tuple[CaseResult, ...] = ()
