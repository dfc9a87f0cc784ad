import dataclasses

import pytest

from slipstream_builder.errors import RecipeError
from slipstream_builder.measuring.analysis import Analysis
from slipstream_builder.search import choice, plan
from slipstream_builder.techniques.configs import (
    Optimize,
    PruneChannels,
    QuantizeDynamic,
    QuantizeRows,
    QuantizeStatic,
)
from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.recipe import Objective, Recipe, Source, Validation

ANALYSIS = Analysis("Compute", "because", 1.0, 1, 1, "dense")
RECIPE = Recipe("agent", Source("model.onnx"), Validation("accuracy", 0.01, 0.95, Source("v.npz")))
KINDS = ("dense", "convolutional", "transformer", "recurrent", "other")


def made(kind="dense", bottleneck="Compute", int8_dot=True, **changes):
    analysis = dataclasses.replace(ANALYSIS, kind=kind, bottleneck=bottleneck)
    return plan.make(dataclasses.replace(RECIPE, **changes), analysis, int8_dot)


def names(**situation):
    return [candidate.name for candidate in made(**situation).candidates]


def test_each_kind_of_network_gets_what_suits_it_the_cheap_ones_first():
    assert names(kind="dense") == [
        "int8-static",
        "int8-rows",
        "weights8",
        "weights4",
        "pruned50-int8",
        "pruned75-int8",
    ]
    assert names(kind="transformer") == [
        "int8-rows",
        "int8-static",
        "weights8",
        "pruned25-int8-rows",
        "pruned50-int8-rows",
    ]
    assert names(kind="convolutional")[0] == "int8-static"
    assert names(kind="convolutional")[-4:] == ["pruned25-int8", "pruned37-int8", "pruned50-int8", "pruned75-int8"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bottleneck_that_comes_out_differently_changes_the_order_and_the_words_but_never_the_candidates(kind):
    plans = [made(kind=kind, bottleneck=bottleneck) for bottleneck in ("Compute", "Memory", "Overhead")]
    assert len({frozenset(one.candidates) for one in plans}) == 1
    assert len({one.reason for one in plans}) == 3


def test_where_reading_weights_dominates_what_only_shrinks_weights_comes_first():
    assert names(bottleneck="Memory")[:2] == ["weights8", "weights4"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_trains_comes_last_and_waits_only_for_what_comes_before_it(kind):
    candidates = made(kind=kind).candidates
    trains = [isinstance(candidate.techniques[0], PruneChannels) for candidate in candidates]
    assert trains == sorted(trains)
    for place, candidate in enumerate(candidates):
        assert set(candidate.milder) <= {before.name for before in candidates[:place]}


@pytest.mark.parametrize("kind", KINDS)
def test_no_candidate_shares_scales_between_batchmates(kind):
    used = {type(technique) for candidate in made(kind=kind).candidates for technique in candidate.techniques}
    assert QuantizeDynamic not in used


def test_without_a_validation_set_nothing_is_compressed_and_the_plan_says_so():
    empty = made(validation=None)
    assert empty.candidates == ()
    assert "no validation set" in empty.reason


def test_off_compresses_nothing():
    assert names(mode="Off") == []


def test_manual_is_one_candidate_of_the_given_techniques_in_order():
    (candidate,) = made(mode="Manual", techniques=("PruneChannels50", "Optimize", "QuantizeStatic")).candidates
    assert candidate.name == "pruned50-int8"
    assert candidate.techniques == (PruneChannels(0.5), Optimize(), QuantizeStatic())


@pytest.mark.parametrize(
    ("techniques", "name"),
    [
        (("QuantizeRows",), "int8-rows"),
        (("QuantizeStaticPercentile",), "int8-percentile"),
        (("PruneWeights90", "QuantizeWeights8"), "sparse90-weights8"),
        (("Optimize",), "manual"),
    ],
)
def test_a_manual_candidate_is_named_after_its_techniques(techniques, name):
    assert names(mode="Manual", techniques=techniques) == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_processor_without_int8_dot_product_gets_seven_bit_weights(kind):
    plan_made = made(kind=kind, int8_dot=False)
    quantised = [
        technique
        for candidate in plan_made.candidates
        for technique in candidate.techniques
        if isinstance(technique, QuantizeStatic | QuantizeRows)
    ]
    assert quantised
    assert all(technique.reduce_range for technique in quantised)
    assert "7 bits" in plan_made.reason


def test_cuda_gets_float16_and_never_int8():
    assert names(accelerator="cuda") == ["fp16", "pruned50-fp16", "pruned75-fp16"]


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


def test_at_most_four_are_kept_the_original_the_fastest_and_the_smallest_among_them():
    base = choice.Figures("optimized", 0.0, 1.0, 100)
    others = [choice.Figures(f"c{i}", 0.01 - i / 1000, 0.1 + i / 10, 20) for i in range(4)]
    smallest = choice.Figures("small", 0.009, 0.9, 10)
    assert choice.keep(base, [*others, smallest]) == ("optimized", "c0", "c1", "small")


def test_the_fastest_kept_serves_even_when_that_is_the_original():
    base = choice.Figures("optimized", 0.0, 1.0, 100)
    assert choice.choose([base, choice.Figures("small", 0.0, 1.5, 10)]) == "optimized"
    assert choice.choose([base, choice.Figures("fast", 0.0, 0.5, 10)]) == "fast"


@pytest.mark.parametrize(
    ("milliseconds", "batch", "words"),
    [
        (1000, 32, "a batch of 32 takes 160 ms, within half of the 1000 ms"),
        (90, 8, "a batch of 8 is the most that keeps within half of the 90 ms"),
        (19, 1, "single rows are the most"),
        (5, 1, "even a single row takes 5 ms"),
    ],
)
def test_variants_are_compared_at_the_batch_that_the_objective_leaves_room_for(milliseconds, batch, words):
    slow, fast = (LatencyCurve(0.0, seconds, 0.0, ()) for seconds in (0.02, 0.005))
    load = choice.load_under(Objective(99.0, milliseconds), [slow, fast])
    assert load.batch == batch
    assert load.reason.startswith(words)
