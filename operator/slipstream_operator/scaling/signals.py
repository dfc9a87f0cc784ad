"""What a window says about a stretch of time: totals over replicas, and the rates and quantiles made of them.

Counters are read as changes between two scrapes of the same pod, and a change is spread evenly over the time between
them. So a replica that came or went is counted for the time it was there, and nothing is counted twice.
"""

import math
from dataclasses import dataclass

from slipstream_operator.scaling.samples import COUNTERS, ReplicaSample, Window


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
    sums = dict.fromkeys(COUNTERS, 0.0)
    edges = _newest_edges(window)
    counts = [0.0] * len(edges)
    replica_seconds = 0.0
    for before, after in window.steps:
        share = _overlap(before.at, after.at, start, end)
        if share <= 0:
            continue
        replica_seconds += share * (after.at - before.at)
        for name in COUNTERS:
            sums[name] += share * (getattr(after, name) - getattr(before, name))
        for index, change in enumerate(_latency_changes(before, after, edges)):
            counts[index] += share * change
    newest, oldest = window.end, window.start
    known = min(end, newest) - max(start, oldest) if newest is not None and oldest is not None else 0.0
    return Totals(
        seconds=max(0.0, known),
        replica_seconds=replica_seconds,
        latency_edges=edges,
        latency_counts=tuple(counts),
        **sums,
    )


def request_rates(window: Window, end: float, interval_seconds: float) -> tuple[float, ...]:
    """Return the requests per second of each whole interval up to `end` that the window covers, oldest first."""
    if window.start is None:
        return ()
    count = int((end - window.start) / interval_seconds + 1e-9)
    requests = [0.0] * count
    for before, after in window.steps:
        change = after.requests - before.requests
        first = math.floor((end - after.at) / interval_seconds)
        last = math.floor((end - before.at) / interval_seconds)
        for back in range(max(0, first), min(count - 1, last) + 1):
            upper = end - back * interval_seconds
            requests[count - 1 - back] += change * _overlap(before.at, after.at, upper - interval_seconds, upper)
    return tuple(number / interval_seconds for number in requests)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _overlap(begin: float, finish: float, start: float, end: float) -> float:
    """Return the share of the time from `begin` to `finish` that lies between `start` and `end`; at most 0 if none."""
    return (min(finish, end) - max(begin, start)) / (finish - begin)


def _newest_edges(window: Window) -> tuple[float, ...]:
    """Return the histogram edges of the newest sample: after a change of the objective only the new ones count."""
    candidates = [samples[-1] for samples in window.series.values() if samples[-1].latency_edges]
    return max(candidates, key=lambda sample: sample.at).latency_edges if candidates else ()


def _latency_changes(before: ReplicaSample, after: ReplicaSample, edges: tuple[float, ...]) -> tuple[float, ...]:
    if after.latency_edges != edges:
        return ()
    if before.latency_edges != edges:
        # Before its first answer a replica has no histogram; another one's edges cannot be compared.
        return () if before.latency_edges else after.latency_counts
    return tuple(a - b for b, a in zip(before.latency_counts, after.latency_counts, strict=True))
