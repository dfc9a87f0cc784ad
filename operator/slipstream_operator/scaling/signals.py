"""What a window says about a stretch of time: totals over replicas, and the rates and quantiles made of them.

Counters are read as changes between two scrapes of the same pod, and a change is spread evenly over the time between
them. So a replica that came or went is counted for the time it was there, and nothing is counted twice.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from slipstream_operator.scaling.samples import COUNTERS, Step, Window


@dataclass(frozen=True)
class Totals:
    """Changes of the counters over `seconds`, summed over replicas that were seen for `replica_seconds` together."""

    seconds: float
    replica_seconds: float
    requests: float
    rejected: float
    rows: float
    computed_rows: float
    batches: float
    busy_seconds: float
    cpu_seconds: float
    cache_hits: float
    cache_misses: float
    latency_edges: tuple[float, ...]
    latency_counts: tuple[float, ...]

    @property
    def request_rate(self) -> float:
        """Requests per second, the rejected ones included."""
        return _ratio(self.requests, self.seconds)

    @property
    def answered(self) -> float:
        """Requests that were not rejected."""
        return max(0.0, self.requests - self.rejected)

    @property
    def rejected_share(self) -> float:
        """Share of the requests that were rejected, 0 to 1."""
        return min(1.0, _ratio(self.rejected, self.requests))

    @property
    def answered_per_replica(self) -> float:
        """Answered requests per second of one replica, on average."""
        return _ratio(self.answered, self.replica_seconds)

    @property
    def rows_per_request(self) -> float:
        """Rows of an answered request, on average; 1 when none was answered."""
        return max(1.0, _ratio(self.rows, self.answered))

    @property
    def mean_batch(self) -> float:
        """Rows of a batch, on average."""
        return _ratio(self.computed_rows, self.batches)

    @property
    def utilization(self) -> float:
        """Share of their time that the replicas' sessions were busy, 0 to 1."""
        return min(1.0, _ratio(self.busy_seconds, self.replica_seconds))

    @property
    def cache_hit_ratio(self) -> float:
        """Share of the cache look-ups that hit, 0 to 1."""
        return _ratio(self.cache_hits, self.cache_hits + self.cache_misses)

    @property
    def latencies(self) -> float:
        """How many answers the latency histogram holds."""
        return self.latency_counts[-1] if self.latency_counts else 0.0

    def latency_quantile(self, quantile: float) -> float | None:
        """Return the latency in seconds that this share (0 to 1) of the answers kept, or None without answers.

        As Prometheus' histogram_quantile: linear within the bucket, and the highest finite edge for the last one.
        """
        if not self.latencies > 0:
            return None
        rank = quantile * self.latencies
        lower_edge = lower_count = 0.0
        for edge, count in zip(self.latency_edges, self.latency_counts, strict=True):
            if count >= rank and count > lower_count:
                share = (rank - lower_count) / (count - lower_count)
                return lower_edge + (edge - lower_edge) * share if math.isfinite(edge) else lower_edge
            if math.isfinite(edge):
                lower_edge, lower_count = edge, count
        return lower_edge


def totals(window: Window, start: float, end: float) -> Totals:
    """Return the totals of the time from `start` to `end` (seconds), as far as the window covers it."""
    sums = [0.0] * len(COUNTERS)
    edges = _newest_edges(window)
    counts = [0.0] * len(edges)
    replica_seconds = 0.0
    for step, share in _overlapping(window, start, end):
        replica_seconds += share * (step.end - step.start)
        sums = [total + share * change for total, change in zip(sums, step.changes, strict=True)]
        if step.latency_edges == edges:
            counts = [total + share * change for total, change in zip(counts, step.latency_changes, strict=True)]
    newest, oldest = window.end, window.start
    known = min(end, newest) - max(start, oldest) if newest is not None and oldest is not None else 0.0
    return Totals(
        seconds=max(0.0, known),
        replica_seconds=replica_seconds,
        latency_edges=edges,
        latency_counts=tuple(counts),
        **dict(zip(COUNTERS, sums, strict=True)),
    )


def request_rates(window: Window, end: float, interval_seconds: float) -> tuple[float, ...]:
    """Return the requests per second of each whole interval up to `end` that the window covers, oldest first."""
    if window.start is None:
        return ()
    count = int((end - window.start) / interval_seconds + 1e-9)
    requests = [0.0] * count
    index = COUNTERS.index("requests")
    for step, _ in _overlapping(window, end - count * interval_seconds, end):
        first = math.floor((end - step.end) / interval_seconds)
        last = math.floor((end - step.start) / interval_seconds)
        for back in range(max(0, first), min(count - 1, last) + 1):
            upper = end - back * interval_seconds
            requests[count - 1 - back] += step.changes[index] * step.share(upper - interval_seconds, upper)
    return tuple(number / interval_seconds for number in requests)


def _overlapping(window: Window, start: float, end: float) -> Iterator[tuple[Step, float]]:
    """Yield each step that lies at least in part between `start` and `end`, with the share that does."""
    for steps in window.steps.values():
        for step in reversed(steps):
            if step.end <= start:
                break
            share = step.share(start, end)
            if share > 0:
                yield step, share


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _newest_edges(window: Window) -> tuple[float, ...]:
    """Return the histogram edges of the newest sample: after a change of the objective only the new ones count."""
    candidates = [samples[-1] for samples in window.series.values() if samples[-1].latency_edges]
    return max(candidates, key=lambda sample: sample.at).latency_edges if candidates else ()
