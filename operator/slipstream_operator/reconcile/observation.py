"""What a world (this machine, or a cluster) reports about one AgentDeployment: the plan's only input."""

from dataclasses import dataclass, field
from typing import Any, Literal

from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.scaling.samples import ReplicaSample

BuildPhase = Literal["Absent", "Running", "Succeeded", "Failed"]


@dataclass(frozen=True)
class Build:
    """The build of the current recipe; `summary` is there once it succeeded, and mostly when it failed."""

    phase: BuildPhase
    message: str = ""
    summary: BuildSummary | None = None
    job: str = ""


@dataclass(frozen=True)
class ReplicaState:
    """One replica that exists; `problem` says why it is not ready, where that is known."""

    uid: str
    ready: bool
    started_at: float
    current: bool
    problem: str = ""


@dataclass(frozen=True)
class Served:
    """What the last apply asked to be served: the artifact, and how many replicas."""

    summary: BuildSummary
    replicas: int


@dataclass(frozen=True)
class Observation:
    """The state of one AgentDeployment at one moment; times in seconds of one clock.

    `trouble` says why the last apply could not bring about all that was wanted.
    """

    spec: AgentSpec
    generation: int
    build: Build
    served: Served | None = None
    replicas: tuple[ReplicaState, ...] = ()
    samples: tuple[ReplicaSample, ...] = ()
    endpoint: str = ""
    selector: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""
