"""Counts what happened to requests, in memory that does not grow with them. Pure."""

import math
from dataclasses import dataclass, field

from slipstream_contract.load import LoadSecond

SHORTEST_SECONDS = 1e-5
GROWTH = 1.01
BUCKETS = 1700
"""Bucket edges grow by 1 % from 10 microseconds to more than 200 seconds: a percentile is off by half a percent."""

_LOG_GROWTH = math.log(GROWTH)


class Latencies:
    """A histogram of latencies with logarithmic buckets."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self.count = 0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        index = int(math.log(max(seconds, SHORTEST_SECONDS) / SHORTEST_SECONDS) / _LOG_GROWTH)
        self._counts[min(index, BUCKETS - 1)] += 1
        self.count += 1

    def merge(self, other: "Latencies") -> None:
        """Add what `other` counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self.count += other.count

    def percentile_milliseconds(self, percentile: float) -> float:
        """Return the latency that `percentile` percent stayed within; zero when nothing was counted."""
        wanted = math.ceil(self.count * percentile / 100)
        running = 0
        for index, count in enumerate(self._counts):
            running += count
            if count and running >= wanted:
                return round(SHORTEST_SECONDS * math.exp(_LOG_GROWTH * (index + 0.5)) * 1000, 4)
        return 0.0


@dataclass
class Tally:
    """What happened in one span of time."""

    offered: int = 0
    answered: int = 0
    rejected: int = 0
    failed: int = 0
    latencies: Latencies = field(default_factory=Latencies)

    def ended(self, code: int, seconds: float) -> None:
        """Count an answer by its HTTP code; 0 stands for none."""
        if code == 200:
            self.answered += 1
            self.latencies.add(seconds)
        elif code in REFUSALS:
            self.rejected += 1
        else:
            self.failed += 1

    def merge(self, other: "Tally") -> None:
        """Add what `other` counted."""
        self.offered += other.offered
        self.answered += other.answered
        self.rejected += other.rejected
        self.failed += other.failed
        self.latencies.merge(other.latencies)

    def second(self, second: float) -> LoadSecond:
        """Return the counts as the contract's record of `second`."""
        return LoadSecond(
            second=second,
            offered=self.offered,
            answered=self.answered,
            rejected=self.rejected,
            failed=self.failed,
            p50_milliseconds=self.latencies.percentile_milliseconds(50),
            p99_milliseconds=self.latencies.percentile_milliseconds(99),
        )


REFUSALS = frozenset({429, 503, 504})
"""Answers with which a server sheds load on purpose."""
