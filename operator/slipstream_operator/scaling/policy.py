"""How fast and how often the replica count may change: the `behavior` of Kubernetes' autoscaling/v2, to the letter.

The rules are those of kubernetes/pkg/controller/podautoscaler/horizontal.go (`stabilizeRecommendationWithBehaviors`,
`convertDesiredReplicasWithBehaviorRate`), so that what people know of the HPA holds here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Select = Literal["Max", "Min", "Disabled"]


@dataclass(frozen=True)
class ScalingPolicy:
    """A change of at most `value` replicas (Pods) or percent (Percent) in any `period_seconds`."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


@dataclass(frozen=True)
class Rules:
    """One direction's rules.

    `select` takes the policy that allows the largest (Max) or smallest (Min) change, or forbids any (Disabled).
    `tolerance` is the relative distance of the demand from the planned capacity below which nothing changes.
    """

    policies: tuple[ScalingPolicy, ...]
    stabilization_window_seconds: float = 0.0
    select: Select = "Max"
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if not self.policies and self.select != "Disabled":
            raise ValueError("a scaling direction needs at least one policy; use select Disabled to forbid it")


DEFAULT_UP = Rules((ScalingPolicy("Percent", 100, 15), ScalingPolicy("Pods", 4, 15)))
"""At once, at most doubling or four more in 15 s: the HPA's own default."""

DEFAULT_DOWN = Rules((ScalingPolicy("Percent", 100, 15),), stabilization_window_seconds=120)
"""Not below any recommendation of the last 120 s. The HPA waits 300 s; batches and a margin make 120 s safe here."""


@dataclass(frozen=True)
class Behavior:
    """The rules of both directions."""

    scale_up: Rules = DEFAULT_UP
    scale_down: Rules = DEFAULT_DOWN


@dataclass(frozen=True)
class Recommendation:
    """A replica count that was found right at the time `at` (seconds), before stabilisation."""

    at: float
    replicas: int


@dataclass(frozen=True)
class ScaleEvent:
    """A change of the replica count by `change` (positive: added), seen at the time `at` (seconds)."""

    at: float
    change: int


def stabilise(now: float, current: int, desired: int, history: Iterable[Recommendation], behavior: Behavior) -> int:
    """Return the count that the stabilisation windows allow: up their least recommendation, down their greatest."""
    recent = tuple(history)
    least = min((desired, *_since(now, recent, behavior.scale_up)))
    greatest = max((desired, *_since(now, recent, behavior.scale_down)))
    return min(max(current, least), greatest)


def settles_in(now: float, desired: int, history: Iterable[Recommendation], behavior: Behavior) -> float:
    """Return the seconds until nothing in the window forbids scaling in to `desired`, if nothing new does."""
    window = behavior.scale_down.stabilization_window_seconds
    return max((item.at + window - now for item in history if item.replicas > desired), default=0.0)


def remember(
    now: float, replicas: int, history: Iterable[Recommendation], behavior: Behavior
) -> tuple[Recommendation, ...]:
    """Return the history with this recommendation.

    Of each count only the latest time is kept: no minimum or maximum over a window that ends now needs more.
    """
    longest = max(behavior.scale_up.stabilization_window_seconds, behavior.scale_down.stabilization_window_seconds)
    kept = (item for item in history if now - longest < item.at <= now and item.replicas != replicas)
    return (*kept, Recommendation(now, replicas))


def remember_change(
    now: float, change: int, events: Iterable[ScaleEvent], behavior: Behavior
) -> tuple[ScaleEvent, ...]:
    """Return the events that a period may still ask for, with a change seen now unless it is 0."""
    rules = (*behavior.scale_up.policies, *behavior.scale_down.policies)
    longest = max((policy.period_seconds for policy in rules), default=0.0)
    kept = tuple(event for event in events if now - longest < event.at <= now)
    return (*kept, ScaleEvent(now, change)) if change else kept


def limit_rate(now: float, current: int, desired: int, events: Iterable[ScaleEvent], behavior: Behavior) -> int:
    """Return `desired`, or the furthest towards it that the direction's policies allow now."""
    changes = tuple(events)
    if desired > current:
        return max(current, min(desired, _up_limit(now, current, changes, behavior.scale_up)))
    if desired < current:
        return min(current, max(desired, _down_limit(now, current, changes, behavior.scale_down)))
    return current


def _up_limit(now: float, current: int, events: tuple[ScaleEvent, ...], rules: Rules) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        base = _at_period_start(now, current, events, policy.period_seconds)
        limits.append(base + policy.value if policy.type == "Pods" else -(-base * (100 + policy.value) // 100))
    return max(limits) if rules.select == "Max" else min(limits)


def _down_limit(now: float, current: int, events: tuple[ScaleEvent, ...], rules: Rules) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        base = _at_period_start(now, current, events, policy.period_seconds)
        # The HPA truncates here; rounding down is the same for all counts but those no rule can reach.
        limits.append(base - policy.value if policy.type == "Pods" else base * (100 - policy.value) // 100)
    return min(limits) if rules.select == "Max" else max(limits)


def _at_period_start(now: float, current: int, events: tuple[ScaleEvent, ...], period_seconds: float) -> int:
    return current - sum(event.change for event in events if event.at > now - period_seconds)


def _since(now: float, history: tuple[Recommendation, ...], rules: Rules) -> tuple[int, ...]:
    return tuple(item.replicas for item in history if item.at > now - rules.stabilization_window_seconds)
