"""The artifact's manifest: the variants that passed the gate, and what was measured of each."""

from dataclasses import dataclass

from slipstream_contract.recipe import Recipe

MANIFEST_FILE = "manifest.json"
GOLDEN_FILE = "golden.npz"
REPORT_HTML_FILE = "report.html"
REPORT_JSON_FILE = "report.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its Open Inference Protocol datatype, and its shape with -1 for a variable axis."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LatencyCurve:
    """Batch latency T(b) = alpha + beta * b in seconds, fitted to `points` of (batch size, median seconds).

    `residual` is the largest relative distance of a point from the line.
    """

    alpha_seconds: float
    beta_seconds: float
    residual: float
    points: tuple[tuple[int, float], ...]

    def seconds(self, batch: int) -> float:
        """Return the predicted latency of one batch."""
        return self.alpha_seconds + self.beta_seconds * batch

    def measured_seconds(self, batch: int) -> float:
        """Return the measured median latency at `batch`, or the prediction where it was not measured."""
        return dict(self.points).get(batch, self.seconds(batch))


@dataclass(frozen=True)
class MetricEstimate:
    """A metric on the validation set, and its two-sided 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FileDigest:
    """A file of the artifact, relative to its folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Variant:
    """A model that passed the gate.

    `compression_ratio` is C = P'/P with P in bytes of the optimised original; `metric` is None when there was
    no validation set; `drop` is the relative loss against the original (negative when it gained), and
    `drop_bound` the upper confidence bound of that loss, which the gate held against the allowed drop.
    """

    name: str
    file: FileDigest
    techniques: tuple[str, ...]
    parameters: int
    compression_ratio: float
    latency: LatencyCurve
    metric: MetricEstimate | None = None
    drop: float | None = None
    drop_bound: float | None = None


@dataclass(frozen=True)
class Manifest:
    """What an artifact folder holds. `baseline` and `chosen` name variants; `files` covers all but the manifest.

    `recipe` is what it was built from, and `source_metric` the metric of the model as it was given.
    """

    name: str
    recipe_digest: str
    source_sha256: str
    metric: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    variants: tuple[Variant, ...]
    baseline: str
    chosen: str
    files: tuple[FileDigest, ...]
    tools: dict[str, str]
    cpu_features: tuple[str, ...]
    recipe: Recipe | None = None
    source_metric: MetricEstimate | None = None
    schema_version: int = SCHEMA_VERSION

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`.

        Raises:
            KeyError: there is none of that name.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(f"no variant {name!r}; there are {', '.join(v.name for v in self.variants)}")
