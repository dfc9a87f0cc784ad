"""What became of every candidate, and the record of a whole build that report.json holds."""

from dataclasses import dataclass
from typing import Literal

from slipstream_builder.gate.verdicts import Verdict
from slipstream_builder.measuring.analysis import Analysis
from slipstream_builder.measuring.latency import Timing
from slipstream_contract.manifest import LatencyCurve, MetricEstimate
from slipstream_contract.recipe import Objective, Recipe

Status = Literal["kept", "passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """One candidate. `passed` met every gate but was not worth keeping; `skipped` was not built to its end.

    `sha256` is that of its model, whether kept or not. `latency` is on the scale of the kept variants; `timings`
    compare with the optimised original, run by run; `build_seconds` is what applying the techniques took.
    """

    name: str
    techniques: tuple[str, ...]
    status: Status
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    sha256: str | None = None
    bytes: int | None = None
    parameters: int | None = None
    metric: MetricEstimate | None = None
    drop: float | None = None
    drop_bound: float | None = None
    latency: LatencyCurve | None = None
    timings: tuple[Timing, ...] = ()
    build_seconds: float = 0.0


@dataclass(frozen=True)
class GateSettings:
    """What the gate asked, of how many items."""

    metric: str
    higher_is_better: bool
    max_drop: float
    confidence: float
    items: int


@dataclass(frozen=True)
class BuildReport:
    """Everything a build tried and found.

    `inputs` are the SHA-256 digests of what was fetched, by role. `compared_batch` is the batch that a replica will
    run under the objective, at which the variants were compared; `choice` says why.
    """

    name: str
    recipe_digest: str
    recipe: Recipe
    inputs: dict[str, str]
    source_bytes: int
    source_metric: MetricEstimate | None
    gate: GateSettings | None
    objective: Objective
    accelerator: str
    threads: int
    analysis: Analysis
    plan: str
    candidates: tuple[Outcome, ...]
    baseline: str
    chosen: str
    compared_batch: int
    choice: str
    notes: tuple[str, ...]
    tools: dict[str, str]
    cpu_features: tuple[str, ...]

    def candidate(self, name: str) -> Outcome:
        """Return the candidate called `name`.

        Raises:
            KeyError: there is none of that name.
        """
        for outcome in self.candidates:
            if outcome.name == name:
                return outcome
        raise KeyError(f"no candidate {name!r}; there are {', '.join(outcome.name for outcome in self.candidates)}")
