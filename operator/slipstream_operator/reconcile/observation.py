"""What a world (this machine, or a cluster) reports about one AgentDeployment: the plan's only input."""

from dataclasses import dataclass, field
from typing import Any, Literal

from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile.revisions import Revision
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
    """One replica that exists; `problem` says why it is not ready, where that is known.

    `stored` says that it read its artifact from the store that there is, and not from one that was there before.
    """

    uid: str
    ready: bool
    started_at: float
    current: bool
    problem: str = ""
    stored: bool = True


@dataclass(frozen=True)
class Served:
    """What the last apply asked to be served: the artifact, how many replicas, and which variant (empty: not known)."""

    summary: BuildSummary
    replicas: int
    variant: str = ""


@dataclass(frozen=True)
class RolloutState:
    """How the change of replicas stands.

    `max_unavailable` is what the last apply allowed, 0 for none; `no_room` says why new replicas found no place in the
    cluster for `no_room_seconds`; `stalled`, that none became ready within the deadline.
    """

    max_unavailable: int = 0
    no_room: str = ""
    no_room_seconds: float = 0.0
    stalled: bool = False


@dataclass(frozen=True)
class Observation:
    """The state of one AgentDeployment at one moment; times in seconds of one clock.

    `trouble` says why the last apply could not bring about all that was wanted. `revisions` are the artifacts that
    have served, newest first, and `last_good` the one to go back to when the wanted one has a `failed_start`.
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
    revisions: tuple[Revision, ...] = ()
    rollout: RolloutState = field(default_factory=RolloutState)
    last_good: BuildSummary | None = None
    failed_start: str = ""
