"""What a load run measured: written by the load generator and `slipstream up`, drawn by the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadSecond:
    """One second of load as the clients saw it; latencies in milliseconds, from the scheduled time of sending."""

    second: float
    offered: int
    answered: int
    rejected: int
    failed: int
    p50_milliseconds: float
    p99_milliseconds: float


@dataclass(frozen=True)
class ReplicasAt:
    """How many replicas were ready and wanted at a second of the load, and their mean utilisation (0 to 1)."""

    second: float
    ready: int
    desired: int
    utilization: float


@dataclass(frozen=True)
class ScalingEvent:
    """A change of the wanted replicas, with the decision's reason."""

    second: float
    before: int
    after: int
    reason: str


@dataclass(frozen=True)
class ServingMeasurement:
    """One variant served by one replica under a fixed closed-loop load: throughput T = N / t with its parts."""

    variant: str
    requests: int
    failed: int
    seconds: float
    rows_per_request: int
    p50_milliseconds: float
    p99_milliseconds: float
    utilization: float

    @property
    def requests_per_second(self) -> float:
        """Throughput T = N / t."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class LoadReport:
    """A whole load run: the original against the chosen variant, then the rising and falling load."""

    percentile: float
    objective_milliseconds: int
    before: ServingMeasurement
    after: ServingMeasurement
    seconds: tuple[LoadSecond, ...]
    replicas: tuple[ReplicasAt, ...]
    events: tuple[ScalingEvent, ...]
