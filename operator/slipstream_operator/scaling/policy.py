"""How fast and how often the replica count may change: the `behavior` of Kubernetes' autoscaling/v2, to the letter.

The rules are those of kubernetes/pkg/controller/podautoscaler/horizontal.go (`stabilizeRecommendationWithBehaviors`,
`convertDesiredReplicasWithBehaviorRate`), so that what people know of the HPA holds here.
"""

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
