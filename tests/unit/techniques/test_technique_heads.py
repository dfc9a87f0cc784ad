"""Pruning of whole attention heads."""

import numpy as np
import pytest
import torch

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import PruneChannels
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.graphs import constants
from slipstream_builder.techniques.training import course
from slipstream_builder.techniques.training.heads import attentions, has_free_heads
from slipstream_builder.techniques.training.prunable import with_prunable_form

HEADS, WIDTH, TOKENS = 4, 8, 5
LANES = HEADS * WIDTH


@pytest.fixture(autouse=True)
def short_course(monkeypatch):
    monkeypatch.setattr(course, "FEWEST_STEPS", 30)
    monkeypatch.setattr(course, "MOST_STEPS", 30)


@pytest.fixture
def make_encoder(make_model, floats):
    """One block of self-attention over [batch, tokens, lanes], the mean over tokens as its embedding."""

    def make(split: list[int], joined: list[int]):
        weights = {name: 3 * floats(LANES, LANES) for name in ("wq", "wk", "wv", "wo")}
        weights |= {f"b{name}": floats(LANES) for name in "qkvo"}
        weights |= {
            "split": np.array(split, np.int64),
            "joined": np.array(joined, np.int64),
            "root": np.array(WIDTH**0.5, np.float32),
        }
        nodes = []
        for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            nodes += [
                ("MatMul", f"x w{name}", f"m{name}", {}),
                ("Add", f"m{name} b{name}", f"a{name}", {}),
                ("Reshape", f"a{name} split", f"r{name}", {}),
                ("Transpose", f"r{name}", name, {"perm": perm}),
            ]
        nodes += [
            ("MatMul", "q k", "dots", {}),
            ("Div", "dots root", "scaled", {}),
            ("Softmax", "scaled", "p", {"axis": -1}),
            ("MatMul", "p v", "context", {}),
            ("Transpose", "context", "back", {"perm": [0, 2, 1, 3]}),
            ("Reshape", "back joined", "flat", {}),
            ("MatMul", "flat wo", "mo", {}),
            ("Add", "mo bo", "o", {}),
            ("Add", "o x", "res", {}),
            ("ReduceMean", "res", "y", {"axes": [1], "keepdims": 0}),
        ]
        return make_model(nodes, weights, x=[TOKENS, LANES], y=[LANES])

    return make


FORMS = {
    "as exporters of today write it": ([0, 0, -1, WIDTH], [0, 0, -1]),
    "with the heads counted": ([0, 0, HEADS, WIDTH], [0, 0, LANES]),
    "with tokens counted and a free batch": ([-1, TOKENS, HEADS, WIDTH], [-1, TOKENS, LANES]),
}


@pytest.mark.parametrize("form", FORMS)
def test_half_of_the_heads_go_whole_and_the_stream_keeps_its_width(form, make_encoder, make_context, floats, run):
    model, x = make_encoder(*FORMS[form]), floats(60, TOKENS, LANES)

    pruned = apply(PruneChannels(0.5), model, make_context(model, x, task="embedding"))

    held = constants(pruned.graph)
    assert {held[name].shape for name in ("wq", "wk", "wv")} == {(LANES, LANES // 2)}
    assert held["wo"].shape == (LANES // 2, LANES)
    assert run(pruned, x[:7]).shape == (7, LANES)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_that_lets_heads_go_answers_as_before(form, make_encoder, floats, run):
    model, x = make_encoder(*FORMS[form]), floats(7, TOKENS, LANES)

    np.testing.assert_allclose(run(with_prunable_form(model), x), run(model, x), atol=1e-6)


def test_a_reshape_that_merges_batch_and_heads_is_no_join(make_model, floats, run):
    sizes = {"split": [0, 0, HEADS, WIDTH], "merged": [-1, TOKENS, WIDTH], "back": [-1, HEADS * TOKENS * WIDTH]}
    weights = {"w": floats(LANES, LANES), **{name: np.array(size, np.int64) for name, size in sizes.items()}}
    nodes = [
        ("MatMul", "x w", "m", {}),
        ("Reshape", "m split", "s", {}),
        ("Transpose", "s", "t", {"perm": [0, 2, 1, 3]}),
        ("Reshape", "t merged", "heads", {}),
        ("Softmax", "heads", "p", {"axis": -1}),
        ("Reshape", "p back", "y", {}),
    ]
    model, x = make_model(nodes, weights, x=[TOKENS, LANES], y=[LANES * TOKENS]), floats(3, TOKENS, LANES)

    np.testing.assert_allclose(run(with_prunable_form(model), x), run(model, x), atol=1e-6)


def test_a_head_that_nothing_reads_is_the_first_to_go(make_encoder, make_context, floats, run):
    model, x = make_encoder(*FORMS["as exporters of today write it"]), floats(60, TOKENS, LANES)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    silent = constants(model.graph)["wo"].copy()
    silent[WIDTH : 2 * WIDTH] = 0.0
    held["wo"].raw_data = silent.tobytes()

    pruned = apply(PruneChannels(0.25), model, make_context(model, x, task="embedding"))

    np.testing.assert_allclose(run(pruned, x), run(model, x), atol=0.05)


def test_lanes_that_are_no_heads_are_left_alone(make_encoder, floats):
    model = make_encoder([0, 0, WIDTH, HEADS], [0, 0, LANES])
    network, examples = Interpreter(model), [torch.from_numpy(floats(2, TOKENS, LANES))]

    (attention,) = attentions(network, examples)

    assert (attention.heads, attention.width) == (WIDTH, HEADS)
    assert not has_free_heads(attention, lambda: Interpreter(model), examples)


def test_a_model_of_one_head_has_nothing_to_prune(make_encoder, make_context, floats):
    model, x = make_encoder([0, 0, 1, LANES], [0, 0, LANES]), floats(60, TOKENS, LANES)

    with pytest.raises(TechniqueError, match="no layer has channels"):
        apply(PruneChannels(0.5), model, make_context(model, x, task="embedding"))
