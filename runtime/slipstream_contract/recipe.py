"""The recipe: the frozen, canonical input of a build. The same recipe gives the same artifact."""

from dataclasses import dataclass
from typing import Literal

from slipstream_contract import codec

Mode = Literal["Auto", "Manual", "Off"]
Accelerator = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Source:
    """A file to fetch: a URI, and the SHA-256 (hex) it must have when the user pinned it."""

    uri: str
    sha256: str | None = None


@dataclass(frozen=True)
class Validation:
    """The held-out items that decide the gate.

    `max_drop` is the relative loss that may be accepted (0.01 for "1%"); `confidence` the one-sided
    confidence at which the loss must be shown to be smaller (0.95 for "95%").
    """

    dataset: Source
    metric: str
    max_drop: float
    confidence: float


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
