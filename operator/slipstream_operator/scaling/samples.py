"""What was scraped from the replicas: one sample, and the immutable window of the last samples of each."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

COUNTERS = (
    "requests",
    "rejected",
    "rows",
    "computed_rows",
    "batches",
    "busy_seconds",
    "cpu_seconds",
    "cache_hits",
    "cache_misses",
)
"""The fields of a sample that only ever grow while a replica lives."""


@dataclass(frozen=True)
class ReplicaSample:
    """One scrape of one replica at the time `at` (seconds); all but `queued_rows` are counters since its start.

    `replica` is the pod's UID, never its name, which a successor could take over. `requests` counts every request,
    the `rejected` ones included. `rows` are those answered, cache hits included; `computed_rows` those that went
    through the session in `batches`. `latency_counts` are cumulative over `latency_edges` (seconds, the last
    infinite), successful answers only; both are empty before the first answer.
    """

    replica: str
    at: float
    requests: float = 0.0
    rejected: float = 0.0
    rows: float = 0.0
    computed_rows: float = 0.0
    batches: float = 0.0
    busy_seconds: float = 0.0
    cpu_seconds: float = 0.0
    queued_rows: float = 0.0
    cache_hits: float = 0.0
    cache_misses: float = 0.0
    latency_edges: tuple[float, ...] = ()
    latency_counts: tuple[float, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether every number is finite and not negative, and the histogram's two halves match."""
        numbers = (*(getattr(self, name) for name in COUNTERS), self.queued_rows, *self.latency_counts)
        return (
            math.isfinite(self.at)
            and all(math.isfinite(number) and number >= 0 for number in numbers)
            and len(self.latency_edges) == len(self.latency_counts)
        )


@dataclass(frozen=True)
class Window:
    """The samples of the last `span_seconds`, per replica in order of time. Immutable: `add` and `trim` return anew."""

    span_seconds: float = 120.0
    series: Mapping[str, tuple[ReplicaSample, ...]] = field(default_factory=dict)

    def add(self, samples: Iterable[ReplicaSample]) -> "Window":
        """Return the window with `samples` added; unusable ones and those not newer than their last are ignored."""
        series = dict(self.series)
        for sample in samples:
            earlier = series.get(sample.replica, ())
            if sample.usable and (not earlier or sample.at > earlier[-1].at):
                series[sample.replica] = (*earlier, sample)
        return replace(self, series=series)

    def trim(self, now: float) -> "Window":
        """Return the window without samples older than its span, and without those from after `now`."""
        kept = {
            uid: tuple(sample for sample in samples if now - self.span_seconds <= sample.at <= now)
            for uid, samples in self.series.items()
        }
        return replace(self, series={uid: samples for uid, samples in kept.items() if samples})

    def only(self, replicas: Iterable[str]) -> "Window":
        """Return the window of these replicas alone."""
        wanted = frozenset(replicas)
        return replace(self, series={uid: samples for uid, samples in self.series.items() if uid in wanted})

    def newest(self, replica: str) -> ReplicaSample | None:
        """Return the last sample of one replica, or None."""
        samples = self.series.get(replica, ())
        return samples[-1] if samples else None

    @property
    def end(self) -> float | None:
        """The time of the newest sample of all, in seconds, or None when there is none."""
        return max((samples[-1].at for samples in self.series.values()), default=None)

    @property
    def start(self) -> float | None:
        """The time of the oldest sample that has a successor, in seconds: from here on, changes are known."""
        return min((samples[0].at for samples in self.series.values() if len(samples) > 1), default=None)

    @property
    def covered_seconds(self) -> float:
        """The time over which changes are known, in seconds."""
        return self.end - self.start if self.end is not None and self.start is not None else 0.0

    @cached_property
    def steps(self) -> tuple[tuple[ReplicaSample, ReplicaSample], ...]:
        """Each pair of successive samples of one replica between which no counter went back."""
        pairs = (pair for samples in self.series.values() for pair in pairwise(samples))
        return tuple((before, after) for before, after in pairs if not _was_reset(before, after))


def _was_reset(before: ReplicaSample, after: ReplicaSample) -> bool:
    """Say whether a counter fell, as when the process in the pod restarted: the step then tells nothing."""
    if any(getattr(after, name) < getattr(before, name) for name in COUNTERS):
        return True
    same_edges = before.latency_edges == after.latency_edges
    return same_edges and any(b > a for b, a in zip(before.latency_counts, after.latency_counts, strict=True))
