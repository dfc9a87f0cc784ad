"""What `decide` is given, what it remembers, and what it answers."""

from dataclasses import dataclass, field

from slipstream_operator.scaling.policy import Behavior, Recommendation, ScaleEvent
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Policy:
    """The user's bounds and how the operator may move within them.

    `start_seconds` is the measured time from ordering a replica to its first answer; the demand is forecast that far.
    `target_utilization` is the share of a replica's sustainable rate that is planned with: the rest is for uneven
    spreading over replicas and for arrivals burstier than Poisson.
    """

    min_replicas: int
    max_replicas: int
    start_seconds: float
    behavior: Behavior = field(default_factory=Behavior)
    target_utilization: float = 0.8
    tuning: Tuning = field(default_factory=Tuning)


@dataclass(frozen=True)
class Replica:
    """A replica that exists: its pod UID, whether it is ready, and when it was started (seconds)."""

    uid: str
    ready: bool
    started_at: float


@dataclass(frozen=True)
class State:
    """What one decision hands to the next, as JSON through the contract's codec; empty after a restart.

    `correction` is the learned ratio of the true sustainable rate to the model's, `overhead_seconds` the learned
    processor time of a request outside the session; both were last updated at `learned_at`. `replicas` is the count
    that was last seen, `data_at` when metrics were last fresh, `demand` the last good demand in requests per second.
    """

    recommendations: tuple[Recommendation, ...] = ()
    events: tuple[ScaleEvent, ...] = ()
    replicas: int | None = None
    correction: float = 1.0
    overhead_seconds: float | None = None
    learned_at: float | None = None
    violated_since: float | None = None
    panic_until: float | None = None
    data_at: float | None = None
    demand: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """The numbers a decision rests on: rates in requests per second, times in seconds, shares from 0 to 1.

    `demand` is the present rate, rejected requests included; `forecast` what is planned for. `replica_rate` is what
    one replica is planned to take, `sustainable_rate` what it could take at most within the objective. `needed` is
    the count before bounds, stabilisation and rate limits; `overloaded` says it is above the maximum.
    """

    demand: float = 0.0
    forecast: float = 0.0
    sustainable_rate: float = 0.0
    replica_rate: float = 0.0
    correction: float = 1.0
    needed: int = 0
    ready: int = 0
    starting: int = 0
    reporting: int = 0
    latency_seconds: float | None = None
    rejected_share: float = 0.0
    utilization: float = 0.0
    mean_batch: float = 0.0
    cache_hit_ratio: float = 0.0
    panicking: bool = False
    violated: bool = False
    overloaded: bool = False
    attainable: bool = True


@dataclass(frozen=True)
class Decision:
    """The replica count to have now, the reason in one sentence, and the evidence."""

    replicas: int
    reason: str
    evidence: Evidence = field(default_factory=Evidence)
