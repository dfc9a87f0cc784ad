"""The techniques' names in a recipe, and in words; pure."""

import re
from collections.abc import Callable
from typing import Any

from slipstream_builder.errors import RecipeError
from slipstream_builder.techniques.configs import (
    Calibration,
    ConvertFloat16,
    Optimize,
    PruneChannels,
    PruneWeights,
    QuantizeDynamic,
    QuantizeRows,
    QuantizeStatic,
    QuantizeWeights,
    Technique,
)

NAMES = (
    "Optimize, QuantizeRows, QuantizeStatic, QuantizeStaticPercentile, QuantizeStaticEntropy, QuantizeWeights8, "
    "QuantizeWeights4, QuantizeDynamic, ConvertFloat16, PruneChannels50, PruneChannels75, PruneWeights90"
)


_PLAIN: dict[str, Technique] = {
    "Optimize": Optimize(),
    "QuantizeDynamic": QuantizeDynamic(),
    "QuantizeWeights8": QuantizeWeights(8),
    "QuantizeWeights4": QuantizeWeights(4),
    "ConvertFloat16": ConvertFloat16(),
}
_CALIBRATIONS: dict[str, Calibration] = {
    "": "MinMax",
    "MinMax": "MinMax",
    "Percentile": "Percentile",
    "Entropy": "Entropy",
}


def parse(name: str, int8_dot: bool) -> Technique:
    """Return the technique called `name`; without `int8_dot` in the processor, int8 weights keep to 7 bits.

    Raises:
        RecipeError: there is none of that name.
    """
    if match := re.fullmatch(r"PruneChannels([1-9]\d?)", name):
        return PruneChannels(int(match[1]) / 100)
    if match := re.fullmatch(r"PruneWeights([1-9]\d?)", name):
        return PruneWeights(int(match[1]) / 100)
    if match := re.fullmatch(r"QuantizeStatic(MinMax|Percentile|Entropy|)", name):
        return QuantizeStatic(_CALIBRATIONS[match[1]], reduce_range=not int8_dot)
    if name == "QuantizeRows":
        return QuantizeRows(reduce_range=not int8_dot)
    if name in _PLAIN:
        return _PLAIN[name]
    raise RecipeError(f"recipe.techniques: {name!r} is not known; use {NAMES}")


def labels(techniques: tuple[Technique, ...]) -> tuple[str, ...]:
    """Return the techniques in words, for the manifest and the report."""
    return tuple(_WORDS[type(technique)](technique) for technique in techniques)


_WORDS: dict[type[Technique], Callable[[Any], str]] = {
    Optimize: lambda technique: "graph optimisation",
    QuantizeDynamic: lambda technique: "int8, activations quantised at run time",
    QuantizeStatic: lambda technique: f"int8, calibrated ({technique.calibration}{_bits(technique)}{_kept(technique)})",
    QuantizeRows: lambda technique: f"int8, activations quantised row by row{_bits(technique)}",
    QuantizeWeights: lambda technique: f"{technique.bits}-bit weights by blocks, activations in int8 row by row",
    ConvertFloat16: lambda technique: "float16 (fast on CUDA; on CPUs only smaller, and mostly slower)",
    PruneChannels: lambda technique: f"{technique.fraction:.0%} of channels pruned, distilled from the source",
    PruneWeights: lambda technique: (
        f"{technique.fraction:.0%} of weights zero, distilled from the source "
        "(smaller only where the file is compressed; no faster)"
    ),
}


def _bits(technique: QuantizeStatic | QuantizeRows) -> str:
    return ", 7-bit weights" if technique.reduce_range else ""


def _kept(technique: QuantizeStatic) -> str:
    if not technique.worst_kept:
        return ""
    return f", worst {'layer' if technique.worst_kept == 1 else f'{technique.worst_kept} layers'} in float"
