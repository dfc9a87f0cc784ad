"""Structured pruning, recovered by distillation."""

import numpy as np
import onnx
import pytest

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import PruneChannels
from slipstream_builder.techniques.conversion.operators import OPERATORS
from slipstream_builder.techniques.graphs import constants
from slipstream_builder.techniques.training import course


@pytest.fixture(autouse=True)
def short_course(monkeypatch):
    monkeypatch.setattr(course, "FEWEST_STEPS", 60)
    monkeypatch.setattr(course, "MOST_STEPS", 60)


def shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in constants(model.graph).items()}


def test_half_of_the_hidden_channels_go_and_inputs_and_outputs_stay(make_mlp, make_context, floats):
    model = make_mlp(128)

    pruned = apply(PruneChannels(0.5), model, make_context(model, floats(200, 64)))

    expected = {"w1": (64, 64), "b1": (64,), "w2": (64, 64), "b2": (64,), "w3": (10, 64), "b3": (10,)}
    assert shapes(pruned) == expected
    assert pruned.graph.input == model.graph.input
    assert pruned.graph.output == model.graph.output


def test_the_channels_of_convolutions_go_with_their_normalisation_and_their_flattened_readers(
    make_conv, make_context, floats, run
):
    model, x = make_conv(), floats(80, 3, 8, 8)

    pruned = apply(PruneChannels(0.5), model, make_context(model, x))

    found = shapes(pruned)
    assert found["w1"] == (16, 3, 3, 3)
    assert found["gamma"] == found["mean"] == (16,)
    assert found["w2"] == (16, 16, 3, 3)
    assert found["w3"] == (16 * 4 * 4, 10)
    assert run(pruned, x[:5]).shape == (5, 10)


def test_a_depthwise_convolution_keeps_a_group_for_each_channel(make_model, make_context, floats, run):
    weights = {"w1": floats(32, 3, 1, 1), "w2": floats(32, 1, 3, 3), "w3": floats(4, 32, 1, 1)}
    nodes = [
        ("Conv", "x w1", "c1", {}),
        ("Conv", "c1 w2", "c2", {"group": 32, "pads": [1, 1, 1, 1]}),
        ("Relu", "c2", "r", {}),
        ("Conv", "r w3", "c3", {}),
        ("GlobalAveragePool", "c3", "p", {}),
        ("Flatten", "p", "y", {}),
    ]
    model, x = make_model(nodes, weights, x=[3, 6, 6], y=[4]), floats(50, 3, 6, 6)

    pruned = apply(PruneChannels(0.5), model, make_context(model, x))

    assert shapes(pruned)["w2"] == (16, 1, 3, 3)
    assert run(pruned, x[:3]).shape == (3, 4)


def test_distillation_brings_the_pruned_model_close_to_its_source(make_mlp, make_context, floats, run, monkeypatch):
    model, x = make_mlp(128), 3 * floats(300, 64)
    context = make_context(model, x, task="regression")
    wanted = run(model, x)

    def error(steps: int) -> float:
        monkeypatch.setattr(course, "FEWEST_STEPS", steps)
        monkeypatch.setattr(course, "MOST_STEPS", steps)
        return float(np.mean((run(apply(PruneChannels(0.5), model, context), x) - wanted) ** 2))

    assert error(300) < error(2) / 4


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(make_mlp, make_context, floats):
    model, x = make_mlp(64), floats(100, 64)

    def pruned(seed: int) -> bytes:
        return apply(PruneChannels(0.5), model, make_context(model, x, seed=seed)).SerializeToString()

    assert pruned(1) == pruned(1)
    assert pruned(1) != pruned(2)


def test_progress_rises_to_the_end(make_mlp, make_context, floats):
    seen: list[float] = []
    model = make_mlp(64)
    context = make_context(model, floats(100, 64), report=lambda fraction, message: seen.append(fraction))

    apply(PruneChannels(0.5), model, context)

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_the_model_given_is_left_alone(make_mlp, make_context, floats):
    model = make_mlp(64)
    before = model.SerializeToString()

    apply(PruneChannels(0.5), model, make_context(model, floats(50, 64)))

    assert model.SerializeToString() == before


def test_layers_that_share_equal_vectors_are_pruned_apart(make_model, make_context, floats):
    weights = {"w1": floats(32, 64), "b": np.zeros(64, np.float32), "w2": floats(64, 64), "w3": floats(64, 8)}
    nodes = [
        ("MatMul", "x w1", "m1", {}),
        ("Add", "m1 b", "h1", {}),
        ("Relu", "h1", "r1", {}),
        ("MatMul", "r1 w2", "m2", {}),
        ("Add", "m2 b", "h2", {}),
        ("Relu", "h2", "r2", {}),
        ("MatMul", "r2 w3", "y", {}),
    ]
    model = make_model(nodes, weights, x=[32], y=[8])

    found = shapes(apply(PruneChannels(0.5), model, make_context(model, floats(60, 32))))

    assert found["w2"] == (32, 32)
    assert found["b"] == (32,)


def test_a_reshape_that_takes_zeros_literally_is_still_a_flattening(make_model, make_context, floats):
    weights = {"w1": floats(32, 2, 3, 3), "shape": np.array([-1, 128], dtype=np.int64), "w2": floats(128, 4)}
    nodes = [
        ("Conv", "x w1", "c", {}),
        ("Reshape", "c shape", "flat", {"allowzero": 1}),
        ("Gemm", "flat w2", "y", {}),
    ]
    model = make_model(nodes, weights, x=[2, 4, 4], y=[4])

    found = shapes(apply(PruneChannels(0.5), model, make_context(model, floats(60, 2, 4, 4))))

    assert found == {"w1": (16, 2, 3, 3), "w2": (64, 4)}


def test_a_graph_that_torch_cannot_run_is_refused_in_words(make_model, make_context, floats):
    weights = {"w1": floats(32, 64), "w2": floats(64, 8), "zero": np.array([0, 64], dtype=np.int64)}
    nodes = [("MatMul", "x w1", "m", {}), ("Reshape", "m zero", "r", {"allowzero": 1}), ("MatMul", "r w2", "y", {})]
    model = make_model(nodes, weights, x=[32], y=[8])

    with pytest.raises(TechniqueError, match="does not run in torch"):
        apply(PruneChannels(0.5), model, make_context(model, floats(60, 32)))


def test_a_conversion_that_answers_otherwise_is_refused_before_training(make_mlp, make_context, floats, monkeypatch):
    monkeypatch.setitem(OPERATORS, "Tanh", OPERATORS["Sigmoid"])
    model = make_mlp(64)

    with pytest.raises(TechniqueError, match="output y of the graph converted to torch differs"):
        apply(PruneChannels(0.5), model, make_context(model, floats(50, 64)))


def test_a_graph_of_opset_11_is_pruned(make_model, make_context, floats):
    nodes = [
        ("Gemm", "x w1", "h", {}),
        ("Relu", "h", "r", {}),
        ("Unsqueeze", "r", "u", {"axes": [1]}),
        ("Squeeze", "u", "s", {"axes": [1]}),
        ("Gemm", "s w2", "y", {}),
    ]
    model = make_model(nodes, {"w1": floats(32, 64), "w2": floats(64, 8)}, x=[32], y=[8], opset=11)

    assert shapes(apply(PruneChannels(0.5), model, make_context(model, floats(60, 32))))["w1"] == (32, 32)


def test_a_model_without_hidden_channels_cannot_be_pruned(make_model, make_context, floats):
    model = make_model([("MatMul", "x w", "y", {})], {"w": floats(64, 64)}, x=[64], y=[64])

    with pytest.raises(TechniqueError, match="no layer has channels"):
        apply(PruneChannels(0.5), model, make_context(model, floats(50, 64)))


def test_channels_behind_a_reshape_to_fixed_sizes_stay(make_model, make_context, floats, run):
    weights = {
        "w1": floats(32, 64),
        "heads": np.array([0, 4, 16], dtype=np.int64),
        "back": np.array([0, 64], dtype=np.int64),
        "w2": floats(64, 48),
        "w3": floats(48, 8),
    }
    nodes = [
        ("MatMul", "x w1", "h", {}),
        ("Reshape", "h heads", "split", {}),
        ("Softmax", "split", "p", {"axis": -1}),
        ("Reshape", "p back", "joined", {}),
        ("MatMul", "joined w2", "m", {}),
        ("Relu", "m", "r", {}),
        ("MatMul", "r w3", "y", {}),
    ]
    model, x = make_model(nodes, weights, x=[32], y=[8]), floats(60, 32)

    found = shapes(apply(PruneChannels(0.5), model, make_context(model, x)))

    assert found["w1"] == (32, 64)
    assert found["w2"] == (64, 24)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_a_fraction_that_prunes_nothing_or_all_is_refused(fraction, make_mlp, make_context, floats):
    model = make_mlp(64)

    with pytest.raises(TechniqueError, match="between 0 and 1"):
        apply(PruneChannels(fraction), model, make_context(model, floats(50, 64)))
