"""How many replicas: hands the scaling its capacity and policy, or follows who else owns the count."""

from dataclasses import dataclass

from slipstream_contract.summary import BuildSummary, VariantSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.processes import replica_plan, variant_of
from slipstream_operator.scaling.capacity import Capacity
from slipstream_operator.scaling.decision import decide
from slipstream_operator.scaling.model import Decision, Policy, Replica, State
from slipstream_operator.scaling.samples import Window
from slipstream_operator.scaling.tuning import Tuning

DEFAULT_MAX_BATCH = 64


@dataclass(frozen=True)
class Past:
    """What was seen before: the samples, the scaling's state, and how long replicas take to start (seconds)."""

    window: Window
    scaling: State
    start_seconds: float


def size(
    observation: Observation, summary: BuildSummary, variant: str, past: Past, tuning: Tuning, now: float
) -> tuple[Decision, State]:
    """Return how many replicas should serve `variant` of `summary`, and the scaling's next state."""
    scaling = observation.spec.scaling
    current = observation.served.replicas if observation.served else scaling.min_replicas
    if scaling.mode != "Objective":
        wanted = scaling.replicas if scaling.replicas is not None else current
        return Decision(wanted, f"{wanted} as spec.scaling.replicas says (mode {scaling.mode})"), past.scaling
    replicas = tuple(Replica(r.uid, r.ready, r.started_at) for r in observation.replicas)
    policy = Policy(
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        start_seconds=past.start_seconds,
        behavior=scaling.behavior,
        tuning=tuning,
    )
    capacity = capacity_of(observation.spec, summary, variant_of(summary, variant))
    return decide(now, past.window, capacity, policy, replicas, current, past.scaling)


def capacity_of(
    spec: AgentSpec, summary: BuildSummary, variant: VariantSummary, overhead_seconds: float = 0.0
) -> Capacity:
    """Return what a replica is made of that answers with `variant`; overhead is processor time besides the session."""
    return Capacity(
        alpha_seconds=variant.latency.alpha_seconds,
        beta_seconds=variant.latency.beta_seconds,
        max_batch=spec.serving.max_batch or DEFAULT_MAX_BATCH,
        percentile=spec.objective.percentile,
        objective_seconds=spec.objective.latency_milliseconds / 1000,
        overhead_seconds=overhead_seconds,
        threads=spec.serving.threads,
        processes=replica_plan(spec.serving, summary).processes,
    )
