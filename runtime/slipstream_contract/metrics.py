"""Names of the runtime's Prometheus metrics, which the operator scrapes and scales by.

A replica of several processes answers with one set: counters and histograms are sums, except where a line says mean.
"""

REQUEST_SECONDS = "slipstream_request_duration_seconds"
"""Histogram, labels `code`, `protocol` (http, grpc): from the last byte read to the answer handed to the socket.
`code` is HTTP's; a gRPC answer has the HTTP code that means the same."""

DECODE_SECONDS = "slipstream_decode_duration_seconds"
"""Histogram: from a request's last byte to its tensors, checked."""

QUEUE_SECONDS = "slipstream_queue_duration_seconds"
"""Histogram: time a request waited for its batch to start."""

COMPUTE_SECONDS = "slipstream_compute_duration_seconds"
"""Histogram: time of one batch in the session."""

ENCODE_SECONDS = "slipstream_encode_duration_seconds"
"""Histogram: from a request's outputs to the bytes of its answer."""

BATCH_ROWS = "slipstream_batch_rows"
"""Histogram: rows of one batch."""

ROWS_TOTAL = "slipstream_rows_total"
"""Counter, label `variant`: rows answered, cache hits included."""

ANSWERS_TOTAL = "slipstream_answers_total"
"""Counter, label `variant`: requests answered by a variant, cache hits included."""

REJECTED_TOTAL = "slipstream_rejected_requests_total"
"""Counter, label `reason`: requests refused before compute."""

OVERLOAD = "overload"
DEADLINE = "deadline"
CONNECTIONS = "connections"
AUTHENTICATION = "authentication"
BODY = "body"

REJECTED_REASONS = (OVERLOAD, DEADLINE, CONNECTIONS, AUTHENTICATION, BODY)
"""Predicted wait past the deadline; deadline passed while queued; connection over the limit; caller not known or not
allowed; body too large, too slow or not whole. A replica that drains refuses nothing."""

SHED_REASONS = frozenset({OVERLOAD, DEADLINE})
"""The reasons that more replicas would help against."""

CANCELLED_TOTAL = "slipstream_cancelled_requests_total"
"""Counter: requests whose caller went away before the answer."""

BUSY_SECONDS_TOTAL = "slipstream_session_busy_seconds_total"
"""Counter, mean over the processes: seconds the session computed; its rate is the replica's utilisation, 0 to 1."""

LOOP_SECONDS_TOTAL = "slipstream_loop_cpu_seconds_total"
"""Counter, mean over the processes: processor seconds of the event loop's thread; near 1 a second, it is the limit."""

CPU_SECONDS_TOTAL = "slipstream_process_cpu_seconds_total"
"""Counter: processor seconds of the whole replica."""

LOOP_LAG_SECONDS = "slipstream_loop_lag_seconds"
"""Histogram: how late the event loop woke, probed ten times a second."""

QUEUED_ROWS = "slipstream_queued_rows"
"""Gauge: rows waiting now."""

IN_FLIGHT = "slipstream_in_flight_requests"
"""Gauge: requests read and not yet answered."""

OPEN_CONNECTIONS = "slipstream_open_connections"
"""Gauge, label `protocol`: connections open now."""

PROCESSES = "slipstream_processes"
"""Gauge: processes that serve."""

RESIDENT_BYTES = "slipstream_resident_memory_bytes"
"""Gauge: resident memory of the replica's processes."""

START_SECONDS = "slipstream_start_duration_seconds"
"""Gauge: from the start of the process to readiness; of several processes, the slowest."""

RESTARTS_TOTAL = "slipstream_worker_restarts_total"
"""Counter: processes of this replica that died and were started again; only where there are several."""

CACHE_HITS_TOTAL = "slipstream_cache_hits_total"
CACHE_MISSES_TOTAL = "slipstream_cache_misses_total"
"""Counters: requests answered from any level of the cache, and from none."""

CACHE_LOOKUPS_TOTAL = "slipstream_cache_lookups_total"
"""Counter, labels `level` (responses, answers, redis), `result` (hit, miss)."""

CACHE_ACTIVE = "slipstream_cache_active"
"""Gauge, label `level`, mean over the processes: 1 while the level is used, 0 while it costs more than it saves."""

CACHE_BYTES = "slipstream_cache_bytes"
"""Gauge, label `level`: bytes held."""

LATENCY_ALPHA_SECONDS = "slipstream_latency_alpha_seconds"
LATENCY_BETA_SECONDS = "slipstream_latency_beta_seconds"
"""Gauges: the batch latency T(b) = alpha + beta * b as refitted on line; of several processes, the mean."""

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

SPAN_BUCKETS_SECONDS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper edges for the parts of a request, which begin far below a millisecond."""


def latency_buckets(objective_seconds: float) -> tuple[float, ...]:
    """Return the upper edges in seconds for whole requests, one of them exactly at the objective."""
    return tuple(sorted({*BASE_BUCKETS_SECONDS, objective_seconds}))


def span_buckets(objective_seconds: float) -> tuple[float, ...]:
    """Return the upper edges in seconds for parts of a request, one of them exactly at the objective."""
    return tuple(sorted({*SPAN_BUCKETS_SECONDS, objective_seconds}))
