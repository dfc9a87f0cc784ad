"""The build's result as the operator learns it: at most 4 KiB, a pod's termination message."""

from dataclasses import dataclass
from typing import Literal

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import LatencyCurve

MAX_BYTES = 4096

Reason = Literal[
    "Succeeded", "InvalidSource", "InvalidValidation", "InvalidRecipe", "OutOfDisk", "OutOfTime", "Internal"
]
"""Why a build ended; `Invalid...` is the user's to mend, so the build is not tried again until the spec changes."""

EXIT_CODES: dict[str, int] = {
    "Succeeded": 0,
    "Internal": 1,
    "InvalidSource": 2,
    "InvalidValidation": 2,
    "InvalidRecipe": 2,
    "OutOfDisk": 3,
    "OutOfTime": 4,
}


@dataclass(frozen=True)
class MetricSummary:
    """The gate's metric of the original (`baseline`) and of the chosen variant (`value`, with its 95 % interval)."""

    name: str
    baseline: float
    value: float
    low: float
    high: float
    drop: float
    drop_bound: float


@dataclass(frozen=True)
class VariantSummary:
    """One kept variant, with what scaling needs to know of it."""

    name: str
    bytes: int
    latency: LatencyCurve


@dataclass(frozen=True)
class BuildSummary:
    """How a build ended.

    `message` is one line for people: on failure, what is wrong and what to do. `speedup` is the ratio of the
    optimised original's latency at batch 32 to the chosen variant's.
    """

    reason: Reason
    message: str
    recipe_digest: str
    artifact_digest: str | None = None
    source_sha256: str | None = None
    chosen: str | None = None
    baseline: str | None = None
    variants: tuple[VariantSummary, ...] = ()
    metric: MetricSummary | None = None
    compression_ratio: float | None = None
    speedup: float | None = None
    bottleneck: str | None = None
    candidates_tried: int = 0
    candidates_passed: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether there is an artifact to serve."""
        return self.reason == "Succeeded"

    def to_json(self) -> str:
        """Return canonical JSON of at most 4 KiB; a longer message is cut at its end.

        Raises:
            ContractError: the summary is too long even without its message.
        """
        text = codec.canonical_json(self).decode()
        if (excess := len(text.encode()) - MAX_BYTES) > 0:
            shorter = self.message.encode("ascii", "replace")[: -excess - 3].decode()
            text = codec.canonical_json(BuildSummary(**{**self.__dict__, "message": shorter + "..."})).decode()
        if len(text.encode()) > MAX_BYTES:
            raise ContractError(f"summary: {len(text.encode())} bytes exceed the {MAX_BYTES} a pod may report")
        return text

    @staticmethod
    def from_json(text: str) -> "BuildSummary":
        """Return the summary in `text`.

        Raises:
            ContractError: the text is not a summary.
        """
        return codec.decode_json(BuildSummary, text, "build summary")
