"""Chooses which candidates to try, cheap ones first; pure."""

import re
from dataclasses import dataclass

from slipstream_builder.errors import RecipeError
from slipstream_builder.measuring.analysis import Analysis
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.configs import (
    Optimize,
    PruneChannels,
    QuantizeDynamic,
    QuantizeStatic,
    Technique,
)
from slipstream_contract.recipe import Recipe

BASELINE = "optimized"

_SHORT = {"QuantizeDynamic": "int8-dynamic", "QuantizeStatic": "int8"}


@dataclass(frozen=True)
class Candidate:
    """A named sequence of techniques, applied to the source in order.

    `milder` names candidates of the same family that take less away: where one of them fails, this one is not tried.
    """

    name: str
    techniques: tuple[Technique, ...]
    milder: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The candidates after the optimised original, in the order to try them, and why these."""

    candidates: tuple[Candidate, ...]
    reason: str


def original() -> Candidate:
    """Return the optimised original: always built, always kept, what all others are compared with."""
    return Candidate(BASELINE, (Optimize(),))


def check(recipe: Recipe) -> None:
    """Accept the recipe's settings.

    Raises:
        RecipeError: a setting is out of its range, or a technique is not known.
    """
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", recipe.name):
        raise RecipeError(f"recipe.name: {recipe.name!r} is no name; use letters, digits, '-', '_' and '.'")
    if recipe.budget_seconds <= 0 or recipe.threads <= 0 or recipe.seed < 0:
        raise RecipeError("recipe: budget_seconds and threads must be above 0, and seed at least 0")
    if recipe.validation is not None:
        if not 0 < recipe.validation.max_drop < 1:
            raise RecipeError(
                f"recipe.validation.max_drop: {recipe.validation.max_drop} must lie between 0 and 1, both excluded: "
                "no finite set of items can show that nothing at all is lost"
            )
        if not 0.5 <= recipe.validation.confidence < 1:
            raise RecipeError(f"recipe.validation.confidence: {recipe.validation.confidence} must be 0.5 to below 1")
    if recipe.mode == "Manual" and not recipe.techniques:
        raise RecipeError(f"recipe.techniques: mode Manual needs some; use {catalogue.NAMES}")
    for name in recipe.techniques:
        catalogue.parse(name, int8_dot=True)


def make(recipe: Recipe, analysis: Analysis, int8_dot: bool) -> Plan:
    """Return the candidates for `recipe`, given what the analysis of the original says."""
    if recipe.mode == "Off":
        return Plan((), "compression is off: only the optimised original is built")
    if recipe.validation is None:
        return Plan(
            (), "no validation set, so nothing can prove a compressed model: only the optimised original is built"
        )
    if recipe.mode == "Manual":
        techniques = tuple(catalogue.parse(name, int8_dot) for name in recipe.techniques)
        return Plan((Candidate(_manual_name(recipe.techniques), techniques),), "the techniques were given")
    bound = _because(analysis)
    if recipe.accelerator == "cuda":
        pruned = Candidate("pruned50", (PruneChannels(0.5), Optimize()))
        return Plan((pruned,), f"{bound}; on CUDA, ONNX Runtime has no fused int8 kernels, so none are tried")
    static = QuantizeStatic(reduce_range=not int8_dot)
    return Plan(
        (
            Candidate("int8-dynamic", (Optimize(), QuantizeDynamic())),
            Candidate("int8-static", (Optimize(), static)),
            Candidate("pruned50-int8", (PruneChannels(0.5), Optimize(), static)),
            Candidate("pruned75-int8", (PruneChannels(0.75), Optimize(), static)),
        ),
        bound + ("" if int8_dot else "; this processor has no int8 dot product, so weights keep to 7 bits"),
    )


def _manual_name(names: tuple[str, ...]) -> str:
    parts = [_SHORT.get(name, name.replace("PruneChannels", "pruned")) for name in names if name != "Optimize"]
    return "-".join(parts) or "manual"


def _because(analysis: Analysis) -> str:
    match analysis.bottleneck:
        case "Compute":
            return "arithmetic dominates: fewer channels and int8 products cut it"
        case "Memory":
            return "reading the weights dominates: int8 reads a quarter, pruning fewer still"
        case "Overhead":
            return "fixed cost dominates: batching pays most, a smaller model adds to it at large batches"
