"""The techniques' names in a recipe, and in words; pure."""

import re

from slipstream_builder.errors import RecipeError
from slipstream_builder.techniques.configs import (
    Optimize,
    PruneChannels,
    PruneWeights,
    QuantizeDynamic,
    QuantizeStatic,
    Technique,
)

NAMES = "Optimize, QuantizeDynamic, QuantizeStatic, PruneChannels50, PruneChannels75, PruneWeights90"


def parse(name: str, int8_dot: bool) -> Technique:
    """Return the technique called `name`; without `int8_dot` in the processor, static int8 keeps to 7 bits.

    Raises:
        RecipeError: there is none of that name.
    """
    if match := re.fullmatch(r"PruneChannels([1-9]\d?)", name):
        return PruneChannels(int(match[1]) / 100)
    if match := re.fullmatch(r"PruneWeights([1-9]\d?)", name):
        return PruneWeights(int(match[1]) / 100)
    if name == "Optimize":
        return Optimize()
    if name == "QuantizeDynamic":
        return QuantizeDynamic()
    if name == "QuantizeStatic":
        return QuantizeStatic(reduce_range=not int8_dot)
    raise RecipeError(f"recipe.techniques: {name!r} is not known; use {NAMES}")


def labels(techniques: tuple[Technique, ...]) -> tuple[str, ...]:
    """Return the techniques in words, for the manifest and the report."""
    return tuple(_label(technique) for technique in techniques)


def _label(technique: Technique) -> str:
    match technique:
        case Optimize():
            return "graph optimisation"
        case QuantizeDynamic():
            return "int8, activations quantised at run time"
        case QuantizeStatic():
            bits = ", 7-bit weights" if technique.reduce_range else ""
            return f"int8, calibrated ({technique.calibration}{bits})"
        case PruneChannels():
            return f"{technique.fraction:.0%} of channels pruned, distilled from the source"
        case PruneWeights():
            return (
                f"{technique.fraction:.0%} of weights zero, distilled from the source "
                "(smaller only where the file is compressed; no faster)"
            )
