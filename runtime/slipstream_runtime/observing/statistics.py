"""The statistics extension: this process's counters in Triton's form. Pure."""

from typing import Any

from slipstream_runtime.observing.telemetry import Histogram, Telemetry
from slipstream_runtime.protocol.encoding import MODEL_VERSION


def model_statistics(model: str, seen: Telemetry) -> dict[str, Any]:
    """Return the counts and nanoseconds since the process began.

    As Triton counts them, `inference_count` is rows and `execution_count` is batches, both without what the cache
    answered, and each request's compute time is that of its whole batch. The counts of queue and compute are equal,
    or perf_analyzer stops.
    """
    requests = [(code, one) for codes in seen.requests.values() for code, one in codes.items()]
    computed = seen.queue.count
    stats = {
        "success": _sum(one for code, one in requests if code == 200),
        "fail": _sum(one for code, one in requests if code != 200),
        "queue": _span(computed, seen.queue.total),
        "compute_input": _span(computed, seen.decode.total),
        "compute_infer": _span(computed, seen.request_compute_seconds),
        "compute_output": _span(computed, seen.encode.total),
        "cache_hit": _span(seen.cache_hits, 0.0),
        "cache_miss": _span(seen.cache_misses, 0.0),
    }
    one = {
        "name": model,
        "version": MODEL_VERSION,
        "inference_count": round(seen.batch_rows.total),
        "execution_count": seen.compute.count,
        "inference_stats": stats,
        "batch_stats": [],
    }
    return {"model_stats": [one]}


def _sum(histograms: Any) -> dict[str, int]:
    found: list[Histogram] = list(histograms)
    return _span(sum(one.count for one in found), sum(one.total for one in found))


def _span(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}
