"""Renders the replica's counters in the Prometheus text format, when scraped."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from slipstream_contract import metrics
from slipstream_runtime.observing.telemetry import Histogram, Telemetry


@dataclass(frozen=True)
class Identity:
    """What the replica serves, as the labels of the info metric."""

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
    def line(self) -> Curve:
        """The latency line as it stands."""
        ...


class ReplicaCollector(Collector):
    """Reads the counters of one replica."""

    def __init__(self, telemetry: Telemetry, backlog: Backlog, identity: Identity) -> None:
        self._telemetry = telemetry
        self._backlog = backlog
        self._identity = identity

    def collect(self) -> Iterable[Metric]:
        """Yield every metric of the contract."""
        yield from self._histograms()
        yield from self._counters()
        yield from self._gauges()

    def _histograms(self) -> Iterator[Metric]:
        seen = self._telemetry
        family = HistogramMetricFamily(
            metrics.REQUEST_SECONDS, "From the last byte of a request read to its answer handed on.", labels=["code"]
        )
        for code, histogram in sorted(seen.requests.items()):
            family.add_metric([str(code)], list(histogram.cumulative()), histogram.total)
        yield family
        yield _histogram(metrics.QUEUE_SECONDS, "Wait of a request for its batch to start.", seen.queue)
        yield _histogram(metrics.COMPUTE_SECONDS, "Time of one batch in the session.", seen.compute)
        yield _histogram(metrics.BATCH_ROWS, "Rows of one batch.", seen.batch_rows)

    def _counters(self) -> Iterator[Metric]:
        seen = self._telemetry
        yield CounterMetricFamily(metrics.ROWS_TOTAL, "Rows answered, cache hits included.", seen.rows)
        rejected = CounterMetricFamily(metrics.REJECTED_TOTAL, "Requests refused before compute.", labels=["reason"])
        for reason, count in seen.rejected.items():
            rejected.add_metric([reason], count)
        yield rejected
        yield CounterMetricFamily(metrics.BUSY_SECONDS_TOTAL, "Seconds the session computed.", seen.busy_seconds)
        yield CounterMetricFamily(metrics.CPU_SECONDS_TOTAL, "Processor seconds of the replica.", time.process_time())
        yield CounterMetricFamily(metrics.CACHE_HITS_TOTAL, "Requests answered from the cache.", seen.cache_hits)
        yield CounterMetricFamily(metrics.CACHE_MISSES_TOTAL, "Requests not in the cache.", seen.cache_misses)

    def _gauges(self) -> Iterator[Metric]:
        line = self._backlog.line
        yield GaugeMetricFamily(metrics.QUEUED_ROWS, "Rows waiting now.", self._backlog.queued_rows)
        yield GaugeMetricFamily(metrics.LATENCY_ALPHA_SECONDS, "Fixed part of a batch's latency.", line.alpha)
        yield GaugeMetricFamily(metrics.LATENCY_BETA_SECONDS, "Latency each row adds to a batch.", line.beta)
        info = GaugeMetricFamily(metrics.INFO, "What the replica serves.", labels=["model", "artifact", "variant"])
        info.add_metric([self._identity.model, self._identity.artifact, self._identity.variant], 1)
        yield info


class Exposition:
    """The text of `/metrics`."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    def text(self) -> bytes:
        """Return every metric as it stands now."""
        return generate_latest(self._registry)


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, list(histogram.cumulative()), histogram.total)
