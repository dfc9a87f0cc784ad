"""The candidates worth trying for each kind of network and target, the cheap ones first; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from slipstream_builder.measuring.kinds import GraphKind
from slipstream_builder.techniques.configs import (
    ConvertFloat16,
    Optimize,
    PruneChannels,
    QuantizeRows,
    QuantizeStatic,
    QuantizeWeights,
    Technique,
)


@dataclass(frozen=True)
class Candidate:
    """A named sequence of techniques, applied to the source in order.

    `milder` names candidates of the same family that take less away: where one of them fails, this one is not tried.
    """

    name: str
    techniques: tuple[Technique, ...]
    milder: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """What is tried for one kind of network on one target, and why, in a clause."""

    candidates: tuple[Candidate, ...]
    reason: str


def on_cuda() -> Family:
    """Return what runs faster on CUDA: ONNX Runtime has no fused int8 kernels there, but tensor cores for float16."""
    half = (Optimize(), ConvertFloat16())
    candidates = (Candidate("fp16", half), *_pruned((0.5, 0.75), half, "fp16", ("fp16",)))
    return Family(candidates, "on CUDA, float16 runs on tensor cores; ONNX Runtime has no fused int8 kernels for it")


def on_cpu(kind: GraphKind, int8_dot: bool) -> Family:
    """Return what runs faster on a CPU; without `int8_dot`, int8 weights keep to 7 bits, or products would saturate."""
    rows = (Optimize(), QuantizeRows(reduce_range=not int8_dot))
    static = (Optimize(), QuantizeStatic("MinMax", not int8_dot))
    weights = (Optimize(), QuantizeWeights(8))
    bits = "" if int8_dot else "; this processor has no int8 dot product, so weights keep to 7 bits"
    match kind:
        case "transformer":
            candidates = (
                Candidate("int8-rows", rows),
                Candidate("int8-static", static),
                Candidate("weights8", weights),
                *_pruned((0.25, 0.5), rows, "int8-rows"),
            )
            reason = "its activations spread unevenly: a scale for each row suits them, one for all must prove itself"
        case "convolutional":
            candidates = (
                Candidate("int8-static", static),
                Candidate("int8-percentile", (Optimize(), QuantizeStatic("Percentile", not int8_dot))),
                Candidate("int8-entropy", (Optimize(), QuantizeStatic("Entropy", not int8_dot))),
                Candidate("int8-careful", (Optimize(), QuantizeStatic("MinMax", not int8_dot, worst_kept=2))),
                *_pruned((0.25, 0.37, 0.5, 0.75), static, "int8"),
            )
            reason = "convolutions run in int8 with calibrated scales, and cost falls with the square of the channels"
        case "dense":
            candidates = (
                Candidate("int8-static", static),
                Candidate("int8-rows", rows),
                Candidate("weights8", weights),
                Candidate("weights4", (Optimize(), QuantizeWeights(4)), ("weights8",)),
                *_pruned((0.5, 0.75), static, "int8"),
            )
            reason = "dense layers run in int8, with scales calibrated or one a row, and shrink with their channels"
        case _:
            candidates = (
                Candidate("int8-rows", rows),
                Candidate("weights8", weights),
                *_pruned((0.5,), (Optimize(),), ""),
            )
            reason = "its products with weights run in int8; the rest stays in float"
    return Family(candidates, reason + bits)


def _pruned(
    fractions: Sequence[float], after: tuple[Technique, ...], suffix: str, milder: tuple[str, ...] = ()
) -> tuple[Candidate, ...]:
    """Return a candidate for each fraction of channels pruned before the techniques `after`, in rising order."""
    found: list[Candidate] = []
    for fraction in fractions:
        name = f"pruned{fraction:.0%}".rstrip("%") + (f"-{suffix}" if suffix else "")
        found.append(Candidate(name, (PruneChannels(fraction), *after), (*milder, *(one.name for one in found))))
    return tuple(found)
