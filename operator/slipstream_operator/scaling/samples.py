"""What was scraped from the replicas: one sample, and the immutable window of the last samples of each."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True)
class ReplicaSample:
    """One scrape of one replica at the time `at` (seconds); all but `queued_rows` are counters since its start.

    `replica` is the pod's UID, never its name, which a successor could take over. `requests` counts every request,
    the `rejected` ones included. `rows` are those answered, cache hits included; `computed_rows` those that went
    through the session in `batches`. `latency_counts` are cumulative over `latency_edges` (seconds, the last
    infinite), successful answers only; both are empty before the first answer. `variant` is the one that answers now,
    empty while its processes do not agree.
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
    variant: str = ""

    @property
    def usable(self) -> bool:
        """Whether every number is finite and not negative, and the histogram's two halves match."""
        numbers = (*(getattr(self, name) for name in COUNTERS), self.queued_rows, *self.latency_counts)
        return (
            math.isfinite(self.at)
            and all(math.isfinite(number) and number >= 0 for number in numbers)
            and len(self.latency_edges) == len(self.latency_counts)
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to one replica between two scrapes, from the time `start` to `end` (seconds).

    `changes` are those of the counters, in the order of `COUNTERS`; `latency_changes` those of the histogram over
    `latency_edges`, both empty when the two scrapes cannot be compared.
    """

    start: float
    end: float
    changes: tuple[float, ...]
    latency_edges: tuple[float, ...]
    latency_changes: tuple[float, ...]

    def share(self, start: float, end: float) -> float:
        """Return the share of the step that lies between `start` and `end`; 0 if none."""
        return max(0.0, (min(self.end, end) - max(self.start, start)) / (self.end - self.start))


@dataclass(frozen=True)
class Window:
    """The samples of the last `span_seconds`, per replica in order of time, and the steps between them.

    Immutable: `add`, `trim` and `only` return anew. A step is worked out once, when its second sample is added.
    """

    span_seconds: float = 120.0
    series: Mapping[str, tuple[ReplicaSample, ...]] = field(default_factory=dict)
    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)

    def add(self, samples: Iterable[ReplicaSample]) -> "Window":
        """Return the window with `samples` added; unusable ones and those not newer than their last are ignored."""
        series, steps = dict(self.series), dict(self.steps)
        for sample in samples:
            earlier = series.get(sample.replica, ())
            if not sample.usable or (earlier and sample.at <= earlier[-1].at):
                continue
            series[sample.replica] = (*earlier, sample)
            step = _step(earlier[-1], sample) if earlier else None
            if step is not None:
                steps[sample.replica] = (*steps.get(sample.replica, ()), step)
        return replace(self, series=series, steps=steps)

    def trim(self, now: float) -> "Window":
        """Return the window without samples older than its span, and without those from after `now`."""
        oldest = now - self.span_seconds
        series = {uid: tuple(s for s in samples if oldest <= s.at <= now) for uid, samples in self.series.items()}
        steps = {
            uid: tuple(s for s in steps if oldest <= s.start and s.end <= now) for uid, steps in self.steps.items()
        }
        return replace(
            self,
            series={uid: samples for uid, samples in series.items() if samples},
            steps={uid: known for uid, known in steps.items() if known},
        )

    def only(self, replicas: Iterable[str]) -> "Window":
        """Return the window of these replicas alone."""
        wanted = frozenset(replicas)
        return replace(
            self,
            series={uid: samples for uid, samples in self.series.items() if uid in wanted},
            steps={uid: steps for uid, steps in self.steps.items() if uid in wanted},
        )

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


def _step(before: ReplicaSample, after: ReplicaSample) -> Step | None:
    """Return the step, or None if a counter fell, as when the process in the pod restarted: it then tells nothing."""
    # `or 0.0` makes all zeros one object: the windows of a thousand idle AgentDeployments hold a million.
    changes = tuple((getattr(after, name) - getattr(before, name)) or 0.0 for name in COUNTERS)
    latencies = _latency_changes(before, after)
    if min((*changes, *latencies)) < 0:
        return None
    return Step(before.at, after.at, changes, after.latency_edges if latencies else (), latencies)


def _latency_changes(before: ReplicaSample, after: ReplicaSample) -> tuple[float, ...]:
    if before.latency_edges == after.latency_edges:
        return tuple(a - b for b, a in zip(before.latency_counts, after.latency_counts, strict=True))
    # Before its first answer a replica has no histogram; one over other edges cannot be compared.
    return () if before.latency_edges else after.latency_counts
