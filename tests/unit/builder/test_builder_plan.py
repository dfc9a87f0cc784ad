import dataclasses

import pytest

from slipstream_builder.errors import RecipeError
from slipstream_builder.measuring.analysis import Analysis
from slipstream_builder.search import choice, plan
from slipstream_builder.techniques.configs import Optimize, PruneChannels, QuantizeStatic
from slipstream_contract.recipe import Recipe, Source, Validation

ANALYSIS = Analysis("Compute", "because", 1.0, 1, 1)
RECIPE = Recipe("agent", Source("model.onnx"), Validation("accuracy", 0.01, 0.95, Source("v.npz")))


def names(recipe, int8_dot=True):
    return [candidate.name for candidate in plan.make(recipe, ANALYSIS, int8_dot).candidates]


def test_auto_tries_cheap_candidates_first():
    assert names(RECIPE) == ["int8-dynamic", "int8-static", "pruned50-int8", "pruned75-int8"]


def test_without_a_validation_set_nothing_is_compressed_and_the_plan_says_so():
    made = plan.make(dataclasses.replace(RECIPE, validation=None), ANALYSIS, int8_dot=True)
    assert made.candidates == ()
    assert "no validation set" in made.reason


def test_off_compresses_nothing():
    assert names(dataclasses.replace(RECIPE, mode="Off")) == []


def test_manual_is_one_candidate_of_the_given_techniques_in_order():
    recipe = dataclasses.replace(RECIPE, mode="Manual", techniques=("PruneChannels50", "Optimize", "QuantizeStatic"))
    (candidate,) = plan.make(recipe, ANALYSIS, int8_dot=True).candidates
    assert candidate.name == "pruned50-int8"
    assert candidate.techniques == (PruneChannels(0.5), Optimize(), QuantizeStatic())


def test_a_processor_without_int8_dot_product_gets_seven_bit_weights():
    made = plan.make(RECIPE, ANALYSIS, int8_dot=False)
    static = next(candidate for candidate in made.candidates if candidate.name == "int8-static")
    assert static.techniques[-1] == QuantizeStatic(reduce_range=True)


def test_cuda_never_gets_int8():
    assert names(dataclasses.replace(RECIPE, accelerator="cuda")) == ["pruned50"]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("recipe.name", {"name": "../up"}),
        ("recipe.name", {"name": ""}),
        ("budget_seconds", {"budget_seconds": 0}),
        ("recipe.techniques", {"mode": "Manual"}),
        ("recipe.techniques", {"mode": "Manual", "techniques": ("Magic",)}),
        ("max_drop", {"validation": dataclasses.replace(RECIPE.validation, max_drop=0.0)}),
        ("confidence", {"validation": dataclasses.replace(RECIPE.validation, confidence=1.0)}),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, change):
    with pytest.raises(RecipeError, match=field):
        plan.check(dataclasses.replace(RECIPE, **change))


def test_what_another_beats_in_everything_is_not_kept():
    base = choice.Figures("optimized", 0.0, 1.0, 100)
    good, beaten = choice.Figures("good", 0.001, 0.2, 20), choice.Figures("beaten", 0.002, 0.3, 30)
    assert choice.keep(base, [beaten, good]) == ("optimized", "good")


def test_at_most_four_are_kept_the_fastest_first_and_always_the_original():
    base = choice.Figures("optimized", 0.0, 1.0, 100)
    others = [choice.Figures(f"c{i}", 0.01 - i / 1000, 0.1 + i / 10, 20) for i in range(5)]
    assert choice.keep(base, others) == ("optimized", "c0", "c1", "c2")


def test_the_fastest_kept_serves_even_when_that_is_the_original():
    base = choice.Figures("optimized", 0.0, 1.0, 100)
    assert choice.choose([base, choice.Figures("small", 0.0, 1.5, 10)]) == "optimized"
    assert choice.choose([base, choice.Figures("fast", 0.0, 0.5, 10)]) == "fast"
