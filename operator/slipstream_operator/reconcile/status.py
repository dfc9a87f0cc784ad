"""Writes the status: strings and integers only, in the units a person reads."""

from typing import Any

from slipstream_contract.summary import BuildSummary
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.traffic import Traffic


def artifact_status(summary: BuildSummary) -> dict[str, Any]:
    """Return `status.artifact` of what is served."""
    status: dict[str, Any] = {"digest": f"sha256:{summary.artifact_digest}", "variant": summary.chosen}
    if summary.compression_ratio is not None:
        status["compressionRatio"] = f"{summary.compression_ratio:.3f}"
    if summary.speedup is not None:
        status["speedup"] = f"{summary.speedup:.1f}x"
    if summary.bottleneck is not None:
        status["bottleneck"] = summary.bottleneck
    if (metric := summary.metric) is not None:
        status["metric"] = {
            "name": metric.name,
            "baseline": f"{metric.baseline:.4f}",
            "value": f"{metric.value:.4f}",
            "interval": f"[{metric.low:.4f}, {metric.high:.4f}]",
            "drop": f"{metric.drop:.2%}",
        }
    return status


def performance_status(observation: Observation, traffic: Traffic) -> dict[str, Any]:
    """Return `status.performance`; what was not observed is left out."""
    objective = observation.spec.objective
    status = {"objective": f"p{objective.percentile:g} <= {objective.latency_milliseconds}ms"}
    if traffic.p50_seconds is not None and traffic.p99_seconds is not None:
        status["p50"] = f"{traffic.p50_seconds * 1000:.1f}ms"
        status["p99"] = f"{traffic.p99_seconds * 1000:.1f}ms"
    if traffic.fresh:
        status["requestsPerSecond"] = f"{traffic.requests_per_second:.0f}"
        status["utilization"] = f"{traffic.utilization:.0%}"
    if traffic.mean_batch is not None:
        status["meanBatch"] = f"{traffic.mean_batch:.1f}"
    if traffic.cache_hit_ratio is not None:
        status["cacheHitRatio"] = f"{traffic.cache_hit_ratio:.0%}"
    return status
