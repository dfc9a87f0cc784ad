"""How many replicas: hands the scaling its capacity and policy, or follows who else owns the count."""

from slipstream_contract.summary import BuildSummary, VariantSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.scaling.capacity import Capacity
from slipstream_operator.scaling.decision import decide
from slipstream_operator.scaling.model import Decision, Policy, Replica, State
from slipstream_operator.scaling.tuning import Tuning

DEFAULT_MAX_BATCH = 64


def size(
    observation: Observation, summary: BuildSummary, memory: Memory, tuning: Tuning, now: float
) -> tuple[Decision, State]:
    """Return how many replicas should serve `summary`, and the scaling's next state."""
    scaling = observation.spec.scaling
    current = observation.served.replicas if observation.served else scaling.min_replicas
    if scaling.mode != "Objective":
        wanted = scaling.replicas if scaling.replicas is not None else current
        return Decision(wanted, f"{wanted} as spec.scaling.replicas says (mode {scaling.mode})"), memory.scaling
    replicas = tuple(Replica(r.uid, r.ready, r.started_at) for r in observation.replicas)
    policy = Policy(
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        start_seconds=memory.start_seconds,
        behavior=scaling.behavior,
        tuning=tuning,
    )
    capacity = _capacity(observation.spec, summary)
    return decide(now, memory.window, capacity, policy, replicas, current, memory.scaling)


def _capacity(spec: AgentSpec, summary: BuildSummary) -> Capacity:
    variant = _chosen(summary)
    return Capacity(
        alpha_seconds=variant.latency.alpha_seconds,
        beta_seconds=variant.latency.beta_seconds,
        max_batch=spec.serving.max_batch or DEFAULT_MAX_BATCH,
        percentile=spec.objective.percentile,
        objective_seconds=spec.objective.latency_milliseconds / 1000,
        threads=spec.serving.threads,
    )


def _chosen(summary: BuildSummary) -> VariantSummary:
    (variant,) = [variant for variant in summary.variants if variant.name == summary.chosen]
    return variant
