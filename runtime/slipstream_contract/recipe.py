"""The recipe: the frozen, canonical input of a build. The same recipe gives the same artifact."""

from dataclasses import dataclass
from typing import Literal

from slipstream_contract import codec

Mode = Literal["Auto", "Manual", "Off"]
Accelerator = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Source:
    """A file to fetch: a URI, the SHA-256 (hex) it must have when pinned, and the secret that opens the store.

    The secret's keys are files below `names.SECRETS_PATH/SECRET`; without one, the surroundings' own credentials count.
    """

    uri: str
    sha256: str | None = None
    secret: str | None = None


@dataclass(frozen=True)
class Environment:
    """A gymnasium environment to act in: its registered id, and the number of seeded episodes that decide."""

    id: str
    episodes: int


@dataclass(frozen=True)
class Validation:
    """What decides the gate: held-out items, or episodes in an environment; exactly one of the two.

    `max_drop` is the relative loss that may be accepted (0.01 for "1%"); `confidence` the one-sided
    confidence at which the loss must be shown to be smaller (0.95 for "95%"). `max_slice_drop` is the loss that may
    be accepted on each slice that the data set names; None: slices do not count.
    """

    metric: str
    max_drop: float
    confidence: float
    dataset: Source | None = None
    environment: Environment | None = None
    max_slice_drop: float | None = None


@dataclass(frozen=True)
class Objective:
    """The latency percentile (0 to 100) to hold, and its bound in milliseconds."""

    percentile: float
    latency_milliseconds: int


@dataclass(frozen=True)
class Recipe:
    """Everything a build depends on.

    `unlabelled` holds inputs to calibrate and distil with; without it the builder sets aside a part of the
    validation set, which then no longer counts in the gate. `techniques` is used in Manual mode only.
    `threads` is the number of intra-op threads a serving replica will have.
    """

    name: str
    model: Source
    validation: Validation | None = None
    unlabelled: Source | None = None
    mode: Mode = "Auto"
    techniques: tuple[str, ...] = ()
    budget_seconds: int = 1800
    objective: Objective = Objective(99.0, 100)
    accelerator: Accelerator = "cpu"
    threads: int = 1
    seed: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return codec.digest(self)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files to fetch."""
        dataset = self.validation.dataset if self.validation else None
        return tuple(source for source in (self.model, dataset, self.unlabelled) if source is not None)
