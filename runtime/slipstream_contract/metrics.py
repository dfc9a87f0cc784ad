"""Names of the runtime's Prometheus metrics, which the operator scrapes and scales by."""

REQUEST_SECONDS = "slipstream_request_duration_seconds"
"""Histogram, label `code`: from the last byte of the request read to the answer handed to the socket."""

QUEUE_SECONDS = "slipstream_queue_duration_seconds"
"""Histogram: time a request waited for its batch to start."""

COMPUTE_SECONDS = "slipstream_compute_duration_seconds"
"""Histogram: time of one batch in the session."""

BATCH_ROWS = "slipstream_batch_rows"
"""Histogram: rows of one batch."""

ROWS_TOTAL = "slipstream_rows_total"
"""Counter: rows answered, cache hits included."""

REJECTED_TOTAL = "slipstream_rejected_requests_total"
"""Counter, label `reason`: requests refused before compute (overload, deadline)."""

BUSY_SECONDS_TOTAL = "slipstream_session_busy_seconds_total"
"""Counter: seconds the session computed; its rate is the replica's utilisation."""

CPU_SECONDS_TOTAL = "slipstream_process_cpu_seconds_total"
"""Counter: processor seconds of the whole replica."""

QUEUED_ROWS = "slipstream_queued_rows"
"""Gauge: rows waiting now."""

CACHE_HITS_TOTAL = "slipstream_cache_hits_total"
CACHE_MISSES_TOTAL = "slipstream_cache_misses_total"

LATENCY_ALPHA_SECONDS = "slipstream_latency_alpha_seconds"
LATENCY_BETA_SECONDS = "slipstream_latency_beta_seconds"
"""Gauges: the batch latency T(b) = alpha + beta * b as refitted on line."""

INFO = "slipstream_info"
"""Gauge, always 1, labels `model`, `artifact`, `variant`."""

BASE_BUCKETS_SECONDS = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


def latency_buckets(objective_seconds: float) -> tuple[float, ...]:
    """Return the histogram's upper edges in seconds, one of them exactly at the objective."""
    return tuple(sorted({*BASE_BUCKETS_SECONDS, objective_seconds}))
