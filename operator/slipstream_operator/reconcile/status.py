"""Writes the status: strings and integers only, in the units a person reads."""

from typing import Any

from slipstream_contract.summary import BuildSummary
from slipstream_operator.api import conditions
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.revisions import Revision
from slipstream_operator.reconcile.traffic import Traffic
from slipstream_operator.reconcile.verdict import Verdict


def status_of(
    observation: Observation, verdict: Verdict, found: tuple[Condition, ...], timestamp: str
) -> dict[str, Any]:
    """Return the whole status at the time `timestamp`."""
    previous = observation.status.get("conditions", [])
    status: dict[str, Any] = {
        "observedGeneration": observation.generation,
        "replicas": len(observation.replicas),
        "readyReplicas": sum(replica.ready for replica in observation.replicas),
        "selector": observation.selector,
        "endpoint": observation.endpoint,
        "conditions": conditions.merge(previous, found, observation.generation, timestamp),
        "build": _build_status(observation),
        "performance": performance_status(observation, verdict.traffic),
    }
    if verdict.target.summary is not None and verdict.choice is not None:
        answering = dict(verdict.traffic.variants)
        status["artifact"] = artifact_status(verdict.target.summary, verdict.choice.name, answering)
        if words := verdict.choice.problem or verdict.choice.reason:
            status["artifact"]["variantReason"] = words
    if verdict.decision is not None:
        status["scaling"] = {"desiredReplicas": verdict.decision.replicas, "reason": verdict.decision.reason}
    if verdict.kept:
        status["revisions"] = [_revision_status(revision) for revision in verdict.kept]
    return status


def _build_status(observation: Observation) -> dict[str, Any]:
    status = {"recipe": observation.spec.recipe.digest}
    if observation.build.job:
        status["job"] = observation.build.job
    if observation.build.phase == "Running":
        status["progress"] = observation.build.message
    return status


def _revision_status(revision: Revision) -> dict[str, Any]:
    summary = revision.summary
    status = {
        "name": revision.name,
        "digest": f"sha256:{revision.digest}",
        "variant": summary.chosen,
        "time": revision.at,
    }
    if summary.metric is not None:
        status["metric"] = f"{summary.metric.name} {summary.metric.value:.4f}"
    return status


def artifact_status(summary: BuildSummary, variant: str, answering: dict[str, int]) -> dict[str, Any]:
    """Return `status.artifact` of what is served; `answering` says how many replicas answer with which variant."""
    status: dict[str, Any] = {"digest": f"sha256:{summary.artifact_digest}", "variant": variant}
    names = [found.name for found in summary.variants]
    status["variants"] = [
        {"name": name, "replicas": answering.get(name, 0)} for name in sorted(names, key=lambda n: n != summary.chosen)
    ]
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
