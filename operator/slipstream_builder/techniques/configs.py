"""The techniques a candidate is made of: frozen settings, no behaviour. `apply` turns one into a function on models."""

from dataclasses import dataclass
from typing import Literal

Calibration = Literal["MinMax", "Percentile", "Entropy"]


@dataclass(frozen=True)
class Optimize:
    """Graph optimisation: constants folded, dead and duplicate nodes removed. What was float32 stays float32."""


@dataclass(frozen=True)
class QuantizeDynamic:
    """Weights in int8; activations quantised at run time with one scale per tensor, so batchmates share a scale."""


@dataclass(frozen=True)
class QuantizeStatic:
    """Weights in int8 per output channel, activations in uint8 with scales calibrated beforehand (QDQ form).

    `reduce_range` keeps weights to 7 bits, for CPUs without VNNI, whose int8 products saturate otherwise.
    `worst_kept` nodes, those whose quantisation costs the most by measured loss, stay in float.
    """

    calibration: Calibration = "MinMax"
    reduce_range: bool = False
    worst_kept: int = 0


@dataclass(frozen=True)
class QuantizeRows:
    """Weights in int8 per output channel, activations quantised at run time, each row by its own scale.

    Rows stay apart exactly, and nothing is calibrated. `reduce_range` keeps weights to 7 bits, for CPUs without VNNI.
    """

    reduce_range: bool = False


@dataclass(frozen=True)
class QuantizeWeights:
    """Weights in 8 or 4 `bits` with a scale for every block of 32 to 128; activations in int8, quantised row by row."""

    bits: Literal[8, 4] = 8


@dataclass(frozen=True)
class ConvertFloat16:
    """Weights and arithmetic in float16; inputs and outputs keep their types. Fast on CUDA, only smaller on CPUs."""


@dataclass(frozen=True)
class PruneChannels:
    """Structured pruning of `fraction` (0 to 1, both excluded) of the channels of every hidden layer.

    The channels go along the cubic polynomial-decay schedule, and the source model teaches the rest meanwhile.
    """

    fraction: float


@dataclass(frozen=True)
class PruneWeights:
    """Unstructured pruning: `fraction` (0 to 1, both excluded) of the weights of every layer become exactly 0.

    They go along the cubic polynomial-decay schedule, and the source model teaches the rest meanwhile. The file keeps
    its size until something compresses it, and its latency in any case.
    """

    fraction: float


Technique = (
    Optimize
    | QuantizeDynamic
    | QuantizeStatic
    | QuantizeRows
    | QuantizeWeights
    | ConvertFloat16
    | PruneChannels
    | PruneWeights
)
