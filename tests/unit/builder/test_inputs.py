"""What a build starts from: items or episodes that decide, rows to learn from, rows to measure with."""

import numpy as np
import onnx
import pytest
from onnx import helper
from safetensors.numpy import save_file

from slipstream_builder import inputs
from slipstream_builder.errors import BuilderError, RecipeError, ValidationError
from slipstream_builder.reporting import Reporter, StopRequest
from slipstream_contract import codec
from slipstream_contract.recipe import Environment, Recipe, Source, Validation
from slipstream_testing import onnx_models

ENVIRONMENT = {"id": "slipstream_testing.environments:Choosing-v0", "episodes": 80}


def load(document):
    recipe = codec.decode(Recipe, document, "recipe")
    return inputs.load_all(
        recipe, inputs.fetch_all(recipe, Reporter(lambda progress: None, lambda: 0.0, StopRequest()))
    )


@pytest.fixture
def acting(tmp_path):
    """A recipe for a policy that chooses well in a tiny environment."""
    nodes = [helper.make_node("MatMul", ["state", "w"], ["y"])]
    policy = onnx_models.model(nodes, {"state": ["N", 4]}, {"y": ["N", 3]}, {"w": np.eye(4)[:, :3]})
    onnx.save(policy, tmp_path / "policy.onnx")
    return {
        "name": "agent",
        "model": {"uri": str(tmp_path / "policy.onnx")},
        "validation": {"environment": ENVIRONMENT, "metric": "return", "max_drop": 0.05, "confidence": 0.95},
    }


def test_in_an_environment_the_rows_are_states_that_the_source_met(acting):
    given = load(acting)
    assert (given.labelled, given.deciding, given.episodes.items) == (None, given.episodes, 80)
    assert given.unlabelled["state"].shape == (2048, 4)
    assert given.unlabelled["state"].dtype == np.float32
    assert given.sample["state"].shape == (256, 4)
    assert (given.unlabelled["state"] == load(acting).unlabelled["state"]).all()


def test_in_an_environment_others_may_be_let_explore(acting):
    given = load(acting)
    met = given.explore(lambda rows: -rows["state"][:, :3], 30, 5)
    assert met["state"].shape == (30, 4)
    assert (met["state"] == given.explore(lambda rows: -rows["state"][:, :3], 30, 5)["state"]).all()


def test_too_few_episodes_are_refused_before_any_is_played(acting):
    acting["validation"]["max_drop"] = 0.001
    with pytest.raises(ValidationError, match=r"80 episodes decide the gate; .* at least 2996"):
        load(acting)


def test_labels_of_the_unlabelled_set_are_there_to_learn_from(case):
    folder, recipe = case
    rows = np.zeros((20, 16), np.float32)
    save_file({"x": rows, "labels": np.arange(20) % 4}, folder / "unlabelled.bin")
    recipe["unlabelled"]["uri"] = str(folder / "unlabelled.bin")
    given = load(recipe)
    assert given.unlabelled_labels.tolist() == (np.arange(20) % 4).tolist()
    assert given.labelled.items == 800


def test_labels_set_aside_are_there_to_learn_from(case):
    _, recipe = case
    del recipe["unlabelled"]
    given = load(recipe)
    assert (given.labelled.items, len(given.unlabelled["x"]), len(given.unlabelled_labels)) == (600, 200, 200)
    assert "600 count in the gate" in given.notes[0]


def test_what_was_converted_is_noted(case):
    folder, recipe = case
    with np.load(folder / "validation.npz") as found:
        np.savez(folder / "validation.npz", x=found["x"].astype(np.float64), labels=found["labels"])
    assert load(recipe).notes == ("validation set: array 'x' was converted from float64 to float32",)


def test_a_limit_on_slices_needs_slices(case):
    _, recipe = case
    recipe["validation"]["max_slice_drop"] = 0.1
    with pytest.raises(ValidationError, match="array 'slices' is missing, and maxSliceDrop asks"):
        load(recipe)


def test_a_slice_too_small_to_decide_says_how_many_items_it_would_take(case):
    folder, recipe = case
    with np.load(folder / "validation.npz") as found:
        slices = np.where(np.arange(800) < 20, "night", "day")
        np.savez(folder / "validation.npz", x=found["x"], labels=found["labels"], slices=slices)
    recipe["validation"]["max_slice_drop"] = 0.1
    with pytest.raises(
        ValidationError, match=r"20 items of slice 'night' decide .* takes at least 30: add items, merge"
    ):
        load(recipe)
    recipe["validation"]["max_slice_drop"] = 0.2
    assert load(recipe).labelled.slices.tolist() == slices.tolist()


SET, PLACE = Source("set.npz"), Environment("CartPole-v1", 100)


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        (Validation("accuracy", 0.01, 0.95), RecipeError, "either a dataset or an environment; neither is there"),
        (Validation("return", 0.01, 0.95, SET, PLACE), RecipeError, "either a dataset or an environment; both are"),
        (Validation("return", 0.01, 0.95, SET), ValidationError, "return needs an environment"),
        (Validation("accuracy", 0.01, 0.95, None, PLACE), ValidationError, "accuracy needs a dataset"),
        (Validation("return", 0.01, 0.95, None, PLACE, 0.1), ValidationError, "return has no value for a slice"),
        (Validation("f1", 0.01, 0.95, SET, None, 0.1), ValidationError, "f1 has no value for a slice"),
        (Validation("f7", 0.01, 0.95, SET), ValidationError, "'f7' is not a metric"),
    ],
)
def test_metric_and_what_decides_must_go_together(validation, error, words):
    with pytest.raises(error, match=words) as refused:
        inputs.check(validation)
    assert isinstance(refused.value, BuilderError)
