"""Counters of one replica, cheap enough for every request; `exposition` renders them on scrape. Pure."""

from bisect import bisect_left
from collections.abc import Iterator

from slipstream_contract.metrics import latency_buckets

ROW_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

OVERLOAD = "overload"
DEADLINE = "deadline"


class Histogram:
    """A histogram with upper edges, the last of which is infinite."""

    __slots__ = ("_counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self._counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.edges, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self._counts)

    def cumulative(self) -> Iterator[tuple[str, float]]:
        """Yield each upper edge as Prometheus writes it, with the number of values up to it."""
        running = 0
        for edge, count in zip((*map(str, self.edges), "+Inf"), self._counts, strict=True):
            running += count
            yield edge, running


class Telemetry:
    """All counters of the replica."""

    def __init__(self, objective_seconds: float) -> None:
        self._edges = latency_buckets(objective_seconds)
        self.requests: dict[int, Histogram] = {200: Histogram(self._edges)}
        self.queue = Histogram(self._edges)
        self.compute = Histogram(self._edges)
        self.batch_rows = Histogram(ROW_BUCKETS)
        self.rejected = {OVERLOAD: 0, DEADLINE: 0}
        self.rows = 0
        self.busy_seconds = 0.0
        self.cache_hits = 0
        self.cache_misses = 0

    def answered(self, code: int, seconds: float) -> None:
        """Count one answer."""
        histogram = self.requests.get(code)
        if histogram is None:
            histogram = self.requests[code] = Histogram(self._edges)
        histogram.observe(seconds)

    def computed(self, rows: int, seconds: float) -> None:
        """Count one batch."""
        self.batch_rows.observe(rows)
        self.compute.observe(seconds)
        self.busy_seconds += seconds
