"""Chooses which candidates to try, cheap ones first; pure."""

import re
from dataclasses import dataclass

from slipstream_builder.errors import RecipeError
from slipstream_builder.measuring.analysis import Analysis
from slipstream_builder.search import families
from slipstream_builder.search.families import Candidate
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.configs import Optimize, PruneChannels, PruneWeights, QuantizeWeights
from slipstream_contract.recipe import Recipe

BASELINE = "optimized"

_SHORT = {
    "QuantizeDynamic": "int8-dynamic",
    "QuantizeStatic": "int8",
    "QuantizeRows": "int8-rows",
    "ConvertFloat16": "fp16",
}


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
    """Return the candidates for `recipe`, given what the analysis of the original says.

    Which they are depends on the recipe, the kind of network and the processor alone; the bottleneck, which is measured
    and may come out differently, only orders them and gives the reason.
    """
    if recipe.mode == "Off":
        return Plan((), "compression is off: only the optimised original is built")
    if recipe.validation is None:
        return Plan(
            (), "no validation set, so nothing can prove a compressed model: only the optimised original is built"
        )
    if recipe.mode == "Manual":
        techniques = tuple(catalogue.parse(name, int8_dot) for name in recipe.techniques)
        return Plan((Candidate(_manual_name(recipe.techniques), techniques),), "the techniques were given")
    family = families.on_cuda() if recipe.accelerator == "cuda" else families.on_cpu(analysis.kind, int8_dot)
    return Plan(_ordered(family.candidates, analysis), f"{_because(analysis)}; {family.reason}{_order(analysis)}")


def _ordered(candidates: tuple[Candidate, ...], analysis: Analysis) -> tuple[Candidate, ...]:
    """Put what trains behind what does not, and what suits the bottleneck first, otherwise as they were."""

    def rank(candidate: Candidate) -> tuple[bool, bool]:
        trains = any(isinstance(technique, PruneChannels | PruneWeights) for technique in candidate.techniques)
        weights_only = any(isinstance(technique, QuantizeWeights) for technique in candidate.techniques)
        return trains, not weights_only if analysis.bottleneck == "Memory" else weights_only

    return tuple(sorted(candidates, key=rank))


def _order(analysis: Analysis) -> str:
    first = "those that only shrink weights" if analysis.bottleneck == "Memory" else "the cheap ones"
    return f"; {first} come first, and those that train last"


def _manual_name(names: tuple[str, ...]) -> str:
    parts = [_SHORT.get(name) or _shortened(name) for name in names if name != "Optimize"]
    return "-".join(parts) or "manual"


def _shortened(name: str) -> str:
    for long, short in (("PruneChannels", "pruned"), ("PruneWeights", "sparse"), ("QuantizeWeights", "weights")):
        name = name.replace(long, short)
    return name.replace("QuantizeStatic", "int8-").lower()


def _because(analysis: Analysis) -> str:
    match analysis.bottleneck:
        case "Compute":
            return "arithmetic dominates, which fewer channels and narrower numbers cut"
        case "Memory":
            return "reading the weights dominates, which fewer and narrower weights cut"
        case "Overhead":
            return "fixed cost dominates, so batching pays most, and a smaller model adds to it at large batches"
