"""Judges an observation: one small function a condition, each returning status, reason and what to do."""

from slipstream_contract.summary import BuildSummary, MetricSummary
from slipstream_operator.api import conditions as c
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.traffic import Traffic

KEEPS_SERVING = "; the artifact built before keeps serving"


def judge(observation: Observation, wanted_replicas: int, traffic: Traffic) -> tuple[Condition, ...]:
    """Return all conditions, `Ready` first."""
    details = (
        artifact_built(observation),
        accuracy_gate_passed(observation),
        available(observation),
        objective_met(observation, traffic),
        metrics_available(observation, traffic),
    )
    return (ready(observation, wanted_replicas, details), *details)


def artifact_built(observation: Observation) -> Condition:
    """Whether the current spec's artifact exists."""
    build = observation.build
    if build.phase == "Succeeded" and build.summary is not None:
        return Condition(c.ARTIFACT_BUILT, "True", "Built", build.summary.message)
    if build.phase == "Failed":
        reason = build.summary.reason if build.summary is not None else "BuildFailed"
        kept = KEEPS_SERVING if observation.served is not None else ""
        return Condition(c.ARTIFACT_BUILT, "False", reason, build.message + kept)
    if build.phase == "Running":
        return Condition(c.ARTIFACT_BUILT, "False", "Building", build.message or "the build is running")
    return Condition(c.ARTIFACT_BUILT, "False", "Pending", "the build has not started yet")


def accuracy_gate_passed(observation: Observation) -> Condition:
    """Whether what is served was proven on the validation set."""
    summary = _summary(observation)
    if summary is None:
        return Condition(c.ACCURACY_GATE_PASSED, "Unknown", "NotBuilt", "nothing has been built yet")
    if summary.metric is None:
        message = (
            "the spec has no validation set, so only the optimised original serves; give spec.validation to compress"
        )
        return Condition(c.ACCURACY_GATE_PASSED, "Unknown", "NoValidation", message)
    if summary.chosen == summary.baseline:
        message = f"none of {summary.candidates_tried} candidates passed; the optimised original serves"
        return Condition(c.ACCURACY_GATE_PASSED, "False", "NoCandidatePassed", message)
    return Condition(c.ACCURACY_GATE_PASSED, "True", "Passed", f"{summary.chosen}: {metric_words(summary.metric)}")


def metric_words(metric: MetricSummary) -> str:
    """Return the gate's finding as a phrase."""
    change = "loss" if metric.drop > 0 else "gain"
    return (
        f"{metric.name} {metric.value:.4f} against {metric.baseline:.4f}: {change} {abs(metric.drop):.2%}, "
        f"and no loss above {max(metric.drop_bound, 0):.2%} at the asked confidence"
    )


def available(observation: Observation) -> Condition:
    """Whether at least one replica answers."""
    ready, total = sum(r.ready for r in observation.replicas), len(observation.replicas)
    if ready:
        return Condition(c.AVAILABLE, "True", "ReplicasReady", f"{ready} of {total} replicas ready")
    problems = [r.problem for r in observation.replicas if r.problem]
    if problems:
        return Condition(c.AVAILABLE, "False", "ReplicasFailing", problems[0])
    if total:
        return Condition(c.AVAILABLE, "False", "Starting", f"{total} replicas are starting")
    return Condition(c.AVAILABLE, "False", "NoReplicas", "no replica exists yet")


def objective_met(observation: Observation, traffic: Traffic) -> Condition:
    """Whether the latency percentile is held."""
    objective = observation.spec.objective
    bound = f"p{objective.percentile:g} <= {objective.latency_milliseconds} ms"
    if traffic.quantile_seconds is None:
        return Condition(c.OBJECTIVE_MET, "Unknown", "NoTraffic", f"no request lately to judge {bound} by")
    seen = f"p{objective.percentile:g} is {traffic.quantile_seconds * 1000:.1f} ms, wanted {bound}"
    if traffic.quantile_seconds * 1000 <= objective.latency_milliseconds:
        return Condition(c.OBJECTIVE_MET, "True", "Held", seen)
    return Condition(c.OBJECTIVE_MET, "False", "Missed", seen)


def metrics_available(observation: Observation, traffic: Traffic) -> Condition:
    """Whether the replicas that are ready report."""
    ready = sum(r.ready for r in observation.replicas)
    if not ready:
        return Condition(c.METRICS_AVAILABLE, "Unknown", "NoReplicas", "no replica is ready to report")
    if traffic.fresh:
        return Condition(c.METRICS_AVAILABLE, "True", "Scraped", f"{traffic.fresh} of {ready} replicas report")
    message = f"none of {ready} ready replicas reports; replicas are held until one does"
    return Condition(c.METRICS_AVAILABLE, "False", "NoSamples", message)


def ready(observation: Observation, wanted_replicas: int, details: tuple[Condition, ...]) -> Condition:
    """Whether the current spec is fully in force: built, rolled out and answering."""
    by_type = {condition.type: condition for condition in details}
    if observation.trouble:
        return Condition(c.READY, "False", c.APPLY_FAILED, observation.trouble)
    for needed in (by_type[c.ARTIFACT_BUILT], by_type[c.AVAILABLE]):
        if needed.status != "True" and not (needed.type == c.AVAILABLE and wanted_replicas == 0):
            return Condition(c.READY, "False", needed.reason, needed.message)
    outdated = sum(not replica.current for replica in observation.replicas)
    if outdated:
        return Condition(c.READY, "False", "RollingOut", f"{outdated} replicas still serve the revision before")
    return Condition(c.READY, "True", "Serving", by_type[c.AVAILABLE].message)


def _summary(observation: Observation) -> BuildSummary | None:
    if observation.build.phase == "Succeeded":
        return observation.build.summary
    return observation.served.summary if observation.served else None
