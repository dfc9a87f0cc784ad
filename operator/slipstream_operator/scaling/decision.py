"""The scaling decision: pure, explained, and remembered only in the state it returns."""

from slipstream_operator.scaling.capacity import Capacity, sustainable_rate
from slipstream_operator.scaling.model import Decision, Evidence, Policy, Replica, State
from slipstream_operator.scaling.samples import Window


def decide(
    now: float,
    window: Window,
    capacity: Capacity,
    policy: Policy,
    replicas: tuple[Replica, ...],
    current: int,
    state: State,
) -> tuple[Decision, State]:
    """Return how many replicas to have, and the state for the next call; `current` is the count ordered so far."""
    count = min(max(current, policy.min_replicas), policy.max_replicas)
    evidence = Evidence(sustainable_rate=sustainable_rate(capacity))
    return Decision(count, f"holding {count}: metrics are not judged yet", evidence), state
