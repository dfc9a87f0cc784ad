"""Counters of one process, cheap enough for every request; `collector` turns them into metrics on scrape. Pure.

Everything is a plain integer, list or dictionary that its one writer, the event loop, changes in place: 0.1 to 0.3 us
each. Hot code keeps the bound method (`observe = telemetry.decode.observe`) rather than looking it up each time.
"""

from bisect import bisect_left
from collections.abc import Sequence

from slipstream_contract.metrics import (
    AUTHENTICATION,
    BODY,
    CONNECTIONS,
    DEADLINE,
    OVERLOAD,
    REJECTED_REASONS,
    latency_buckets,
    span_buckets,
)

__all__ = [
    "AUTHENTICATION",
    "BODY",
    "CONNECTIONS",
    "DEADLINE",
    "GRPC",
    "HTTP",
    "OVERLOAD",
    "CacheCounts",
    "Histogram",
    "Telemetry",
    "VariantCounts",
]

ROW_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)

HTTP = "http"
GRPC = "grpc"


class Histogram:
    """A histogram with upper edges, the last of which is infinite."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several values at once, which mostly fall between the same edges."""
        low, high = bisect_left(self.edges, min(values)), bisect_left(self.edges, max(values))
        if low == high:
            self.counts[low] += len(values)
            self.total += sum(values)
        else:
            for value in values:
                self.observe(value)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)


class VariantCounts:
    """What one variant answered, cache hits included."""

    __slots__ = ("answers", "rows")

    def __init__(self) -> None:
        self.answers = 0
        self.rows = 0


class CacheCounts:
    """One level of the cache; its owner counts each look-up, and sets `active` and `held_bytes` when they change."""

    __slots__ = ("active", "held_bytes", "hits", "misses")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.active = False
        self.held_bytes = 0


class Telemetry:
    """All counters of the process.

    Attributes:
        requests: by protocol, then by HTTP code, the seconds from the last byte read to the answer handed on.
        decode, queue, encode: seconds of each request there.
        compute: seconds of each batch in the session.
        rejected: requests refused before compute, by the contract's reasons.
        cancelled: requests whose caller went away first.
        in_flight: requests read and not yet answered.
        connections: open now, by protocol.
        responses, answers, redis: the levels of the cache; a request hits at most one of them.
        request_compute_seconds: each batch's seconds times its requests, as Triton counts.
        loop_lag: how late the event loop woke, in seconds.
    """

    def __init__(self, objective_seconds: float) -> None:
        self._edges = latency_buckets(objective_seconds)
        spans = span_buckets(objective_seconds)
        self._good = Histogram(self._edges)
        self.requests: dict[str, dict[int, Histogram]] = {HTTP: {200: self._good}, GRPC: {}}
        self.decode = Histogram(spans)
        self.queue = Histogram(spans)
        self.compute = Histogram(spans)
        self.encode = Histogram(spans)
        self.batch_rows = Histogram(ROW_BUCKETS)
        self.loop_lag = Histogram(LAG_BUCKETS)
        self.rejected = dict.fromkeys(REJECTED_REASONS, 0)
        self.cancelled = 0
        self.in_flight = 0
        self.connections = {HTTP: 0, GRPC: 0}
        self.variants: dict[str, VariantCounts] = {}
        self.responses = CacheCounts()
        self.answers = CacheCounts()
        self.redis = CacheCounts()
        self.busy_seconds = 0.0
        self.request_compute_seconds = 0.0

    def answered(self, code: int, seconds: float, protocol: str = HTTP) -> None:
        """Count one answer."""
        codes = self.requests[protocol]
        histogram = codes.get(code)
        if histogram is None:
            histogram = codes[code] = Histogram(self._edges)
        histogram.observe(seconds)

    def answered_well(self, seconds: float, variant: str, rows: int) -> None:
        """Count one answer of code 200 over HTTP and its rows: `answered` and `served` in one, for the hot path."""
        good = self._good
        good.counts[bisect_left(good.edges, seconds)] += 1
        good.total += seconds
        counts = self.variants.get(variant)
        if counts is None:
            counts = self.variants[variant] = VariantCounts()
        counts.answers += 1
        counts.rows += rows

    def served(self, variant: str, rows: int) -> None:
        """Count the rows of one request that `variant` answered, now or into the cache."""
        counts = self.variants.get(variant)
        if counts is None:
            counts = self.variants[variant] = VariantCounts()
        counts.answers += 1
        counts.rows += rows

    def computed(self, rows: int, seconds: float, requests: int = 1) -> None:
        """Count one batch of so many rows and requests."""
        self.batch_rows.observe(rows)
        self.compute.observe(seconds)
        self.busy_seconds += seconds
        self.request_compute_seconds += seconds * requests

    @property
    def cache_hits(self) -> int:
        """Requests answered from any level."""
        return self.responses.hits + self.answers.hits + self.redis.hits

    @property
    def cache_misses(self) -> int:
        """Requests answered from no level; every one of them was looked up among the answers."""
        return max(0, self.answers.misses - self.redis.hits)
