"""Judges an observation: one small function a condition, each returning status, reason and what to do."""

from slipstream_contract.summary import BuildSummary, MetricSummary
from slipstream_operator.api import conditions as c
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile import rollout
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.traffic import Traffic
from slipstream_operator.reconcile.verdict import Verdict
from slipstream_operator.scaling.tuning import Tuning

KEEPS_SERVING = "; the artifact built before keeps serving"


def judge(observation: Observation, verdict: Verdict, tuning: Tuning) -> tuple[Condition, ...]:
    """Return all conditions, `Ready` first."""
    details = (
        artifact_built(observation, pinned=verdict.target.pinned),
        accuracy_gate_passed(observation, verdict),
        available(observation),
        rolled_out(observation, verdict, tuning),
        objective_met(observation, verdict.traffic),
        metrics_available(observation, verdict.traffic),
    )
    return (ready(observation, verdict, details), *details)


def artifact_built(observation: Observation, *, pinned: bool) -> Condition:
    """Whether the current spec's artifact exists; while a revision is pinned, nobody builds it."""
    build = observation.build
    if pinned and build.phase != "Succeeded":
        message = "spec.rollout.revision is served, so nothing is built; remove it to build the current spec"
        return Condition(c.ARTIFACT_BUILT, "Unknown", "Pinned", message)
    if build.phase == "Succeeded" and build.summary is not None:
        return Condition(c.ARTIFACT_BUILT, "True", "Built", build.summary.message)
    if build.phase == "Failed":
        reason = build.summary.reason if build.summary is not None else "BuildFailed"
        kept = KEEPS_SERVING if observation.served is not None else ""
        return Condition(c.ARTIFACT_BUILT, "False", reason, build.message + kept)
    if build.phase == "Running":
        return Condition(c.ARTIFACT_BUILT, "False", "Building", build.message or "the build is running")
    return Condition(c.ARTIFACT_BUILT, "False", "Pending", "the build has not started yet")


def accuracy_gate_passed(observation: Observation, verdict: Verdict) -> Condition:
    """Whether what the current spec asks for was proven on the validation set."""
    summary = _summary(observation, verdict)
    if summary is None:
        return Condition(c.ACCURACY_GATE_PASSED, "Unknown", "NotBuilt", "nothing has been built yet")
    if summary.metric is None:
        message = (
            "the spec has no validation set, so only the optimised original serves; give spec.validation to compress"
        )
        return Condition(c.ACCURACY_GATE_PASSED, "Unknown", "NoValidation", message)
    if summary.chosen == summary.baseline:
        kept = summary is not verdict.target.summary
        serves = "the artifact before keeps serving" if kept else "the optimised original serves"
        message = f"none of {summary.candidates_tried} candidates passed; {serves}"
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


def rolled_out(observation: Observation, verdict: Verdict, tuning: Tuning) -> Condition:
    """Whether all replicas serve what the current spec asks for; else what keeps them, and what to do."""
    target = verdict.target
    if target.held is not None:
        return Condition(c.ROLLED_OUT, "False", target.held.reason, target.held.message)
    if target.summary is None:
        return Condition(c.ROLLED_OUT, "Unknown", "NotBuilt", "nothing has been built yet")
    if verdict.choice is not None and verdict.choice.problem:
        return Condition(c.ROLLED_OUT, "False", "UnknownVariant", verdict.choice.problem)
    if rollout.is_rolling(observation):
        return _rolling(observation, verdict, tuning)
    return _settled(observation, verdict, target.summary)


def _settled(observation: Observation, verdict: Verdict, serving: BuildSummary) -> Condition:
    if available(observation).status != "True" and verdict.replicas:
        return Condition(c.ROLLED_OUT, "False", "Starting", f"{len(observation.replicas)} replicas are starting")
    digest = f"artifact {(serving.artifact_digest or '')[:12]}"
    if verdict.target.pinned:
        message = (
            f"all replicas serve {digest}, as spec.rollout.revision says; remove it to go on to the current spec's"
        )
        return Condition(c.ROLLED_OUT, "True", "Pinned", message)
    return Condition(c.ROLLED_OUT, "True", "RolledOut", f"all replicas serve {digest}")


def _rolling(observation: Observation, verdict: Verdict, tuning: Tuning) -> Condition:
    old = sum(not replica.current for replica in observation.replicas)
    still = f"{old} replicas still serve the revision before"
    if words := rollout.start_failure(observation):
        message = (
            f"the new replicas do not start: {words}; {still} and keep serving; mend the cause, change the spec, or go "
            "back with spec.rollout.revision to one of status.revisions"
        )
        return Condition(c.ROLLED_OUT, "False", "StartFailed", message)
    if verdict.strategy.swaps:
        why = observation.rollout.no_room or "there was no room for one more"
        message = f"replacing replicas one at a time, old ones first: {why}; {still}"
        return Condition(c.ROLLED_OUT, "False", "Swapping", message)
    if rollout.lacks_room(observation, tuning):
        least = observation.spec.rollout.min_available
        message = (
            f"no room for a new replica beside the old ones: {observation.rollout.no_room}; {still}; make room, or "
            f"lower spec.rollout.minAvailable ({least}) to let an old one go first"
        )
        return Condition(c.ROLLED_OUT, "False", "NoRoom", message)
    return Condition(c.ROLLED_OUT, "False", "RollingOut", still)


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


def ready(observation: Observation, verdict: Verdict, details: tuple[Condition, ...]) -> Condition:
    """Whether the current spec is fully in force: built, rolled out and answering."""
    by_type = {condition.type: condition for condition in details}
    if observation.trouble:
        return Condition(c.READY, "False", c.APPLY_FAILED, observation.trouble)
    for needed in (by_type[c.ARTIFACT_BUILT], by_type[c.AVAILABLE], by_type[c.ROLLED_OUT]):
        waived = verdict.replicas == 0 if needed.type == c.AVAILABLE else needed.reason == "Pinned"
        if needed.status != "True" and not waived:
            return Condition(c.READY, "False", needed.reason, needed.message)
    return Condition(c.READY, "True", "Serving", by_type[c.AVAILABLE].message)


def _summary(observation: Observation, verdict: Verdict) -> BuildSummary | None:
    """Return the current spec's artifact where there is one, else what serves."""
    if observation.build.phase == "Succeeded" and not verdict.target.pinned:
        return observation.build.summary
    return verdict.target.summary
