"""The same counters under Triton's names, for dashboards and scaling rules made for it. Times in microseconds.

Names, labels and meanings: Triton's `docs/user_guide/metrics.md`. Durations are sums over requests.
"""

from collections.abc import Mapping

from slipstream_runtime.observing.collector import Backlog, Identity
from slipstream_runtime.observing.families import Family, Labels, counter, gauge
from slipstream_runtime.observing.telemetry import Telemetry

VERSION = "1"
MICROSECONDS = 1e6

REJECTED_CODES = frozenset({429, 503, 504})


def aliases(seen: Telemetry, backlog: Backlog, identity: Identity) -> list[Family]:
    """Return Triton's counters."""
    labels: Labels = (("model", identity.model), ("version", VERSION))
    codes = _codes(seen)
    requests = sum(one.total for found in seen.requests.values() for one in found.values())
    failures = (((*labels, ("reason", reason)), count) for reason, count in _failures(codes, seen.cancelled).items())
    plain = {
        "nv_inference_request_success": ("Number of successful inference requests", codes.get(200, 0)),
        "nv_inference_count": (
            "Number of inferences performed, cached ones not included",
            round(seen.batch_rows.total),
        ),
        "nv_inference_exec_count": ("Number of model executions performed", seen.batch_rows.count),
        "nv_inference_request_duration_us": ("Cumulative inference request duration", _micro(requests)),
        "nv_inference_queue_duration_us": ("Cumulative inference queuing duration", _micro(seen.queue.total)),
        "nv_inference_compute_input_duration_us": ("Cumulative compute input duration", _micro(seen.decode.total)),
        "nv_inference_compute_infer_duration_us": (
            "Cumulative compute inference duration",
            _micro(seen.request_compute_seconds),
        ),
        "nv_inference_compute_output_duration_us": ("Cumulative compute output duration", _micro(seen.encode.total)),
        "nv_cache_num_hits_per_model": ("Number of cache hits per model", seen.cache_hits),
        "nv_cache_num_misses_per_model": ("Number of cache misses per model", seen.cache_misses),
    }
    pending = "Instantaneous number of pending requests awaiting execution per-model"
    return [
        counter("nv_inference_request_failure", "Number of failed inference requests", failures),
        *(counter(name, text, [(labels, value)]) for name, (text, value) in plain.items()),
        gauge("nv_inference_pending_request_count", pending, [(labels, backlog.queued_requests)]),
    ]


def _codes(seen: Telemetry) -> dict[int, int]:
    codes: dict[int, int] = {}
    for found in seen.requests.values():
        for code, one in found.items():
            codes[code] = codes.get(code, 0) + one.count
    return codes


def _failures(codes: Mapping[int, int], cancelled: int) -> dict[str, int]:
    reasons = {"REJECTED": 0, "CANCELED": cancelled, "BACKEND": codes.get(500, 0), "OTHER": 0}
    for code, count in codes.items():
        if code in REJECTED_CODES:
            reasons["REJECTED"] += count
        elif code not in {200, 500}:
            reasons["OTHER"] += count
    return reasons


def _micro(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
