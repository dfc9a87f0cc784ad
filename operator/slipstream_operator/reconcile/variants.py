"""Which variant answers: the preferred one, or a faster one while the most replicas cannot hold the load."""

from dataclasses import dataclass

from slipstream_contract.summary import BuildSummary, VariantSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile import rollout
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.processes import variant_of
from slipstream_operator.reconcile.sizing import capacity_of
from slipstream_operator.scaling import reasons
from slipstream_operator.scaling.capacity import sustainable_rate, throughput
from slipstream_operator.scaling.model import Decision, Evidence, State
from slipstream_operator.scaling.tuning import Tuning

GAIN = 1.15
"""A variant counts as faster from this ratio of sustainable rates on: less is not worth a switch."""

CALM = 0.8
"""The preferred variant returns when the load is below this share of what it would hold."""


@dataclass(frozen=True)
class Switching:
    """Since when (seconds) the most replicas have been overloaded, and the load would suit the preferred variant."""

    overloaded_since: float | None = None
    calm_since: float | None = None


@dataclass(frozen=True)
class Choice:
    """The variant to answer with; `reason` is why not the preferred one, `problem` why the named one cannot be."""

    name: str
    reason: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Case:
    """The variants that the choice is between, and what the scaling knows."""

    observation: Observation
    summary: BuildSummary
    current: VariantSummary
    preferred: VariantSummary
    evidence: Evidence
    scaling: State
    limit: int


def preferred(spec: AgentSpec, summary: BuildSummary) -> Choice:
    """Return the variant that `spec.serving.variant` names, or the one that the build chose."""
    chosen, named = summary.chosen or "", spec.serving.variant
    there = [variant.name for variant in summary.variants]
    if named is None or named in there:
        return Choice(named or chosen)
    problem = f"spec.serving.variant: the artifact has no variant {named!r}; write one of {', '.join(there)}"
    return Choice(chosen, problem=problem)


def current(observation: Observation, summary: BuildSummary) -> str:
    """Return the variant that was last asked for, or the preferred one of an artifact that is new."""
    served = observation.served
    known = [variant.name for variant in summary.variants]
    if served is not None and served.summary.artifact_digest == summary.artifact_digest and served.variant in known:
        return served.variant
    return preferred(observation.spec, summary).name


def choose(
    observation: Observation,
    summary: BuildSummary,
    decision: Decision,
    scaling: State,
    switching: Switching,
    tuning: Tuning,
    now: float,
) -> tuple[Choice, Switching]:
    """Return the variant to answer with from now on, and what to remember.

    The change to a faster one waits until every replica that can be had is there and still not enough, and the way
    back until the preferred one would hold the load with a margin, each for a while: between the two lies hysteresis.
    """
    best = preferred(observation.spec, summary)
    automatic = observation.spec.scaling.mode == "Objective" and observation.spec.serving.overload == "Switch"
    if not automatic:
        return best, Switching()
    now_serving = current(observation, summary)
    seen, no_room = decision.evidence, rollout.lacks_room(observation, tuning)
    limit = seen.ready if no_room else observation.spec.scaling.max_replicas
    case = _Case(
        observation, summary, variant_of(summary, now_serving), variant_of(summary, best.name), seen, scaling, limit
    )
    switching = _noted(case, switching, now)
    faster = _faster(case)
    if faster is not None and _lasts(switching.overloaded_since, now, tuning.overload_seconds):
        return Choice(faster.name, _reason(case, faster.name), best.problem), Switching()
    if now_serving == best.name or _lasts(switching.calm_since, now, tuning.calm_seconds):
        return best, switching
    return Choice(now_serving, _reason(case, now_serving), best.problem), switching


def _noted(case: _Case, before: Switching, now: float) -> Switching:
    seen = case.evidence
    overloaded = seen.needed > case.limit and seen.ready >= case.limit and seen.sustainable_rate > 0
    back = case.current != case.preferred and not seen.violated and _holds(case, case.preferred, CALM)
    return Switching(
        (now if before.overloaded_since is None else before.overloaded_since) if overloaded else None,
        (now if before.calm_since is None else before.calm_since) if back else None,
    )


def _faster(case: _Case) -> VariantSummary | None:
    """Return the least fast variant that holds the load, or the fastest; None if none is faster than the present."""
    least = GAIN * _rate(case, case.current)
    faster = sorted((v for v in case.summary.variants if _rate(case, v) >= least), key=lambda v: _rate(case, v))
    return next((variant for variant in faster if _holds(case, variant, 1.0)), faster[-1] if faster else None)


def _holds(case: _Case, variant: VariantSummary, share: float) -> bool:
    """Return whether all replicas would hold the load with `variant`, by what was learned of the present one."""
    seen, present = case.evidence, _rate(case, case.current)
    if not present or not seen.replica_rate:
        return False
    return seen.forecast <= share * case.limit * seen.replica_rate * _rate(case, variant) / present


def _rate(case: _Case, variant: VariantSummary) -> float:
    capacity = capacity_of(case.observation.spec, case.summary, variant, case.scaling.overhead_seconds or 0.0)
    return sustainable_rate(capacity) or throughput(capacity)


def _lasts(since: float | None, now: float, seconds: float) -> bool:
    return since is not None and now - since >= seconds


def _reason(case: _Case, name: str) -> str:
    return (
        f"{name} stands in for {case.preferred.name}, with which {reasons.replicas(case.limit)}, the most there can "
        f"be, did not hold the load; {case.preferred.name} returns when the load has gone"
    )
