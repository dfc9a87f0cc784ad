"""What the observation asks for, before any bound: how many replicas, and why in words."""

import math
from dataclasses import dataclass

from slipstream_operator.scaling import reasons
from slipstream_operator.scaling.capacity import Capacity, sustainable_rate, throughput
from slipstream_operator.scaling.model import Policy, State
from slipstream_operator.scaling.observe import Observation

MOST_REPLICAS = 1_000_000
"""A replica that lies about its load must not make a number nobody can read."""

_QUICKEST_GROWTH = 2.0


@dataclass(frozen=True)
class Need:
    """How many replicas are needed, and what follows from what.

    `replicas` is the greater of what the demand (`planned` requests per second at `replica_rate` each) and a violated
    objective ask for; `smaller` is how few would do with the scale-in margin. `attainable` is False when no replica
    count holds the objective, and `replica_rate` then goes by throughput alone.
    """

    replicas: int
    smaller: int
    planned: float
    sustainable: float
    replica_rate: float
    violated: bool
    panicking: bool
    attainable: bool
    why: str


def is_violated(seen: Observation, capacity: Capacity) -> bool:
    """Say whether the latency quantile is above the objective."""
    return seen.latency is not None and seen.latency > capacity.objective_seconds


def is_panic(seen: Observation, capacity: Capacity, policy: Policy) -> bool:
    """Say whether the demand has outgrown the ready replicas by far, or they refuse more than a few requests."""
    tuning = policy.tuning
    holds = seen.ready * (sustainable_rate(capacity) or throughput(capacity))
    return seen.rejected_share >= tuning.panic_rejected_share or seen.short_demand >= tuning.panic_ratio * holds > 0


def need(now: float, seen: Observation, capacity: Capacity, policy: Policy, current: int, state: State) -> Need:
    """Return what is needed at the time `now`; `state` says since when the objective is violated, and of panic."""
    sustainable = sustainable_rate(capacity)
    attainable = sustainable > 0
    replica_rate = policy.target_utilization * (sustainable if attainable else throughput(capacity))
    panicking = state.panic_until is not None and now < state.panic_until
    planned = _planned(seen, capacity, policy, panicking)
    by_demand = _tolerated(_count(planned, replica_rate), planned / replica_rate, current, policy)
    violated = is_violated(seen, capacity)
    by_latency = _by_latency(now, seen, capacity, policy, replica_rate, state) if violated and attainable else 0
    smaller = _count(planned / (1 - policy.tuning.scale_in_margin), replica_rate)
    by_rate = _why_demand(seen, planned, by_demand, replica_rate, capacity, policy, attainable)
    return Need(
        replicas=max(by_demand, by_latency),
        smaller=max(smaller, by_latency),
        planned=planned,
        sustainable=sustainable,
        replica_rate=replica_rate,
        violated=violated,
        panicking=panicking,
        attainable=attainable,
        why=_why_latency(seen, capacity, by_latency) if by_latency > by_demand else by_rate,
    )


def _planned(seen: Observation, capacity: Capacity, policy: Policy, panicking: bool) -> float:
    """Return the rate to plan for: the forecast, in panic the last seconds, and what empties the backlog."""
    backlog = seen.queued_rows / capacity.rows_per_request / policy.tuning.drain_seconds
    return max(seen.forecast, seen.short_demand if panicking else 0.0) + backlog


def _count(rate: float, replica_rate: float) -> int:
    return max(0, math.ceil(min(rate / replica_rate, MOST_REPLICAS) - 1e-9))


def _tolerated(count: int, load: float, current: int, policy: Policy) -> int:
    """Return `current` instead of `count` when the load per replica is within the direction's tolerance (HPA)."""
    rules = policy.behavior.scale_up if count > current else policy.behavior.scale_down
    return current if current > 0 and abs(load / current - 1) <= rules.tolerance else count


def _by_latency(
    now: float, seen: Observation, capacity: Capacity, policy: Policy, replica_rate: float, state: State
) -> int:
    """Return what a lasting violation asks for: in proportion, at least one more than work now, at most twice as many.

    Replicas that are starting or cold are not counted as working, so they are what is asked for, not ordered again.
    """
    lasting = state.violated_since is not None and now - state.violated_since >= policy.tuning.violation_seconds
    latency = min(seen.latency_recent or 0.0, seen.latency_now or 0.0)
    if latency <= capacity.objective_seconds or not lasting or not _is_busy(seen, policy, replica_rate):
        return 0
    excess = min(_QUICKEST_GROWTH, latency / capacity.objective_seconds)
    return math.ceil(seen.warm * excess)  # an excess above 1 makes it one more at least


def _is_busy(seen: Observation, policy: Policy, replica_rate: float) -> bool:
    """Say whether the replicas have enough to do for that to be why they are late."""
    least = policy.tuning.busy_utilization
    return seen.recent.utilization >= least or seen.recent.answered_per_replica >= least * replica_rate


def _why_demand(
    seen: Observation,
    planned: float,
    count: int,
    replica_rate: float,
    capacity: Capacity,
    policy: Policy,
    attainable: bool,
) -> str:
    verb = "needs" if count == 1 else "need"
    ahead = f"forecast {reasons.number(planned)} in {reasons.span(policy.start_seconds)}"
    text = (
        f"{reasons.rate(seen.demand)} ({ahead}) {verb} {reasons.replicas(count)} at {reasons.rate(replica_rate)} each"
    )
    if attainable:
        return f"{text} within {_objective(capacity)}"
    alone = reasons.time(capacity.seconds(1))
    return f"{text}; no number of replicas holds {_objective(capacity)}, as one request alone takes {alone}"


def _why_latency(seen: Observation, capacity: Capacity, count: int) -> str:
    latency = reasons.time(seen.latency or 0.0)
    busy = reasons.percent(seen.recent.utilization)
    return (
        f"{latency} at p{capacity.percentile:g} is above {reasons.time(capacity.objective_seconds)} with "
        f"{reasons.replicas(seen.warm)} {busy} busy, which asks for {count:,}"
    )


def _objective(capacity: Capacity) -> str:
    return f"p{capacity.percentile:g} <= {reasons.time(capacity.objective_seconds)}"
