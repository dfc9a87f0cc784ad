"""Reads the counters of this process as metrics, when scraped."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipstream_contract import metrics
from slipstream_runtime.observing.families import Family, Labels, counter, gauge, histogram
from slipstream_runtime.observing.telemetry import Histogram, Telemetry

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Identity:
    """What the replica serves, as the labels of the info metric; `variant` changes with a switch."""

    model: str
    artifact: str
    variant: str


class Curve(Protocol):
    """The batch latency T(b) = alpha + beta * b, in seconds."""

    @property
    def alpha(self) -> float:
        """The fixed part of a batch."""
        ...

    @property
    def beta(self) -> float:
        """What each row adds."""
        ...


class Backlog(Protocol):
    """What is read of the batcher."""

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        ...

    @property
    def queued_requests(self) -> int:
        """Requests that wait now."""
        ...

    @property
    def line(self) -> Curve:
        """The latency line as it stands."""
        ...


Aliases = Callable[[Telemetry, Backlog, Identity], list[Family]]
"""Gives the same counters under another system's names."""


class Collector:
    """Turns the counters of one process into metrics; call it on the event loop's thread, whose time it reads."""

    def __init__(
        self, telemetry: Telemetry, backlog: Backlog, identity: Identity, aliases: Aliases | None = None
    ) -> None:
        self._aliases = aliases
        self.telemetry = telemetry
        self.backlog = backlog
        self.identity = identity
        self.start_seconds = 0.0

    def collect(self) -> list[Family]:
        """Return every metric of the contract as it stands now."""
        families = [*self._histograms(), *self._counters(), *self._cache(), *self._gauges()]
        if self._aliases is not None:
            families += self._aliases(self.telemetry, self.backlog, self.identity)
        return families

    def _histograms(self) -> Iterator[Family]:
        seen = self.telemetry
        members = [
            ((("code", str(code)), ("protocol", protocol)), one.counts, one.total)
            for protocol, codes in seen.requests.items()
            for code, one in sorted(codes.items())
        ]
        edges = seen.requests["http"][200].edges
        yield histogram(
            metrics.REQUEST_SECONDS, "From the last byte of a request read to its answer handed on.", edges, members
        )
        yield _plain(metrics.DECODE_SECONDS, "From a request's last byte to its tensors.", seen.decode)
        yield _plain(metrics.QUEUE_SECONDS, "Wait of a request for its batch to start.", seen.queue)
        yield _plain(metrics.COMPUTE_SECONDS, "Time of one batch in the session.", seen.compute)
        yield _plain(metrics.ENCODE_SECONDS, "From a request's outputs to the bytes of its answer.", seen.encode)
        yield _plain(metrics.BATCH_ROWS, "Rows of one batch.", seen.batch_rows)
        yield _plain(metrics.LOOP_LAG_SECONDS, "How late the event loop woke.", seen.loop_lag)

    def _counters(self) -> Iterator[Family]:
        seen = self.telemetry
        variants = sorted(seen.variants.items())
        rows = ((_label("variant", name), counts.rows) for name, counts in variants)
        yield counter(metrics.ROWS_TOTAL, "Rows answered, cache hits included.", rows)
        answers = ((_label("variant", name), counts.answers) for name, counts in variants)
        yield counter(metrics.ANSWERS_TOTAL, "Requests answered, cache hits included.", answers)
        rejected = ((_label("reason", reason), count) for reason, count in seen.rejected.items())
        yield counter(metrics.REJECTED_TOTAL, "Requests refused before compute.", rejected)
        yield _one(metrics.CANCELLED_TOTAL, "Requests whose caller went away first.", seen.cancelled)
        busy = "Seconds the session computed; of several processes, the mean."
        yield counter(metrics.BUSY_SECONDS_TOTAL, busy, [((), seen.busy_seconds)], "share")
        loop = "Processor seconds of the event loop; of several processes, the mean."
        yield counter(metrics.LOOP_SECONDS_TOTAL, loop, [((), time.thread_time())], "share")
        yield _one(metrics.CPU_SECONDS_TOTAL, "Processor seconds of the replica.", time.process_time())

    def _cache(self) -> Iterator[Family]:
        seen = self.telemetry
        levels = {"responses": seen.responses, "answers": seen.answers, "redis": seen.redis}
        yield _one(metrics.CACHE_HITS_TOTAL, "Requests answered from the cache.", seen.cache_hits)
        yield _one(metrics.CACHE_MISSES_TOTAL, "Requests not in the cache.", seen.cache_misses)
        lookups: Iterable[tuple[Labels, float]] = (
            ((("level", name), ("result", result)), count)
            for name, level in levels.items()
            for result, count in (("hit", level.hits), ("miss", level.misses))
        )
        yield counter(metrics.CACHE_LOOKUPS_TOTAL, "Look-ups in each level of the cache.", lookups)
        active = ((_label("level", name), float(level.active)) for name, level in levels.items())
        yield gauge(metrics.CACHE_ACTIVE, "Whether a level of the cache is used.", active, "mean")
        held = ((_label("level", name), level.held_bytes) for name, level in levels.items())
        yield gauge(metrics.CACHE_BYTES, "Bytes a level of the cache holds.", held)

    def _gauges(self) -> Iterator[Family]:
        seen, line, identity = self.telemetry, self.backlog.line, self.identity
        yield gauge(metrics.QUEUED_ROWS, "Rows waiting now.", [((), self.backlog.queued_rows)])
        yield gauge(metrics.IN_FLIGHT, "Requests read and not yet answered.", [((), seen.in_flight)])
        connections = ((_label("protocol", protocol), count) for protocol, count in seen.connections.items())
        yield gauge(metrics.OPEN_CONNECTIONS, "Connections open now.", connections)
        yield gauge(metrics.PROCESSES, "Processes that serve.", [((), 1)])
        yield gauge(metrics.RESIDENT_BYTES, "Resident memory.", [((), _resident_bytes())])
        yield gauge(metrics.START_SECONDS, "From the process's start to ready.", [((), self.start_seconds)], "max")
        yield gauge(metrics.LATENCY_ALPHA_SECONDS, "Fixed part of a batch's latency.", [((), line.alpha)], "mean")
        yield gauge(metrics.LATENCY_BETA_SECONDS, "Latency each row adds to a batch.", [((), line.beta)], "mean")
        names = (("model", identity.model), ("artifact", identity.artifact), ("variant", identity.variant))
        yield gauge(metrics.INFO, "What the replica serves.", [(names, 1)], "max")


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def _label(name: str, value: str) -> Labels:
    return ((name, value),)


def _one(name: str, text: str, value: float) -> Family:
    return counter(name, text, [((), value)])


def _plain(name: str, text: str, one: Histogram) -> Family:
    return histogram(name, text, one.edges, [((), one.counts, one.total)])
