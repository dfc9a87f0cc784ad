"""ONNX to torch and back."""

import numpy as np
import pytest
import torch

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.conversion.interpreter import Interpreter, written_back


@pytest.fixture
def make_transformer_block(make_model, floats):
    """Layer normalisation, Gelu and a Softmax over a product of activations, on tensors of three axes."""
    weights = {
        "scale": 1 + floats(32),
        "shift": floats(32),
        "w1": floats(32, 64),
        "b1": floats(64),
        "w2": floats(64, 32),
        "gain": 1 + floats(32),
        "root": np.array(5.66, dtype=np.float32),
        "one": np.array(0.7071, dtype=np.float32),
    }
    nodes = [
        ("LayerNormalization", "x scale shift", "n", {"axis": -1, "epsilon": 1e-5}),
        ("Transpose", "n", "t", {"perm": [0, 2, 1]}),
        ("MatMul", "n t", "dots", {}),
        ("Div", "dots root", "scaled", {}),
        ("Softmax", "scaled", "p", {"axis": -1}),
        ("MatMul", "p n", "a", {}),
        ("Add", "a x", "res", {}),
        ("MatMul", "res w1", "m1", {}),
        ("Add", "m1 b1", "h", {}),
        ("Mul", "h one", "h1", {}),
        ("Erf", "h1", "e", {}),
        ("Mul", "e h", "g", {}),
        ("MatMul", "g w2", "m2", {}),
        ("Mul", "m2 gain", "z", {}),
        ("ReduceMean", "z", "y", {"axes": [1], "keepdims": 0}),
    ]
    return lambda: make_model(nodes, weights, x=[5, 32], y=[32])


@pytest.fixture
def make_recommender(make_model, floats):
    """Input normalised by its length, clipped from below; embedding-free, as the example exports it."""
    nodes = [
        ("Mul", "x x", "sq", {}),
        ("ReduceSum", "sq axes", "s", {"keepdims": 1}),
        ("Sqrt", "s", "l", {}),
        ("Clip", "l low", "c", {}),
        ("Div", "x c", "u", {}),
        ("Gemm", "u w1 b1", "h", {"transB": 1}),
        ("Sigmoid", "h", "t", {}),
        ("Unsqueeze", "t axes", "t3", {}),
        ("Squeeze", "t3 axes", "t2", {}),
        ("Concat", "t2 u", "both", {"axis": 1}),
        ("Gemm", "both w2", "y", {}),
    ]
    weights = {
        "axes": np.array([1], dtype=np.int64),
        "low": np.array(1e-6, dtype=np.float32),
        "w1": floats(48, 20),
        "b1": floats(48),
        "w2": floats(68, 7),
    }
    return lambda: make_model(nodes, weights, x=[20], y=[7])


@pytest.fixture
def build(make_mlp, make_conv, make_transformer_block, make_recommender):
    return {
        "mlp": (make_mlp, (64,)),
        "conv": (make_conv, (3, 8, 8)),
        "transformer": (make_transformer_block, (5, 32)),
        "recommender": (make_recommender, (20,)),
    }


KINDS = ["mlp", "conv", "transformer", "recommender"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_torch_module_answers_as_the_graph_does(kind, build, run, floats):
    make, shape = build[kind]
    model, x = make(), 3 * floats(6, *shape)

    with torch.no_grad():
        (got,) = Interpreter(model)(torch.from_numpy(x))

    np.testing.assert_allclose(got.numpy(), run(model, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_come_back_unchanged_give_the_same_graph(kind, build):
    model = build[kind][0]()

    assert written_back(model, Interpreter(model).weights()).graph.initializer == model.graph.initializer


@pytest.mark.parametrize("kind", KINDS)
def test_every_float_weight_is_trainable(kind, build):
    model = build[kind][0]()
    network = Interpreter(model)
    floats_held = {t.name for t in model.graph.initializer if t.data_type == 1 and np.prod(t.dims) > 1}

    assert set(network.weights()) == floats_held


def test_changed_weights_change_the_graph_as_they_change_the_module(make_mlp, run, floats):
    model, x = make_mlp(), floats(4, 64)
    network = Interpreter(model)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
        (expected,) = network(torch.from_numpy(x))

    np.testing.assert_allclose(run(written_back(model, network.weights()), x), expected.numpy(), atol=1e-5)


def test_an_operator_without_a_torch_counterpart_is_named(make_model):
    model = make_model([("Asinh", "x", "y", {})], {}, x=[4], y=[4])

    with pytest.raises(TechniqueError, match="operator Asinh"):
        Interpreter(model)


def test_an_opset_too_old_to_train_is_named(make_model):
    model = make_model([("Relu", "x", "y", {})], {}, x=[4], y=[4], opset=10)

    with pytest.raises(TechniqueError, match="opset 10"):
        Interpreter(model)


def test_layers_that_share_their_weights_are_trained_as_one(make_model, floats, run):
    nodes = [("MatMul", "x w", "h", {}), ("MatMul", "h w", "y", {})]
    model, x = make_model(nodes, {"w": floats(8, 8)}, x=[8], y=[8]), floats(3, 8)
    network = Interpreter(model)
    with torch.no_grad():
        network.layers[0].weight.mul_(1.5)
        (expected,) = network(torch.from_numpy(x))

    assert len(network.layers) == 1
    np.testing.assert_allclose(run(written_back(model, network.weights()), x), expected.numpy(), atol=1e-5)


def test_a_table_that_also_scores_stays_one_tensor(make_model, floats):
    nodes = [
        ("Cast", "x", "ids", {"to": 7}),
        ("Gather", "table ids", "e", {}),
        ("ReduceMean", "e", "m", {"axes": [1], "keepdims": 0}),
        ("Gemm", "m table", "y", {"transB": 1}),
    ]
    network = Interpreter(make_model(nodes, {"table": floats(10, 4)}, x=[3], y=[10]))

    assert network.layers[0].weight is network.layers[1].weight


def test_a_weight_read_in_two_layouts_is_refused(make_model, floats):
    nodes = [("MatMul", "x w", "h", {}), ("Gemm", "h w", "y", {"transB": 1})]

    with pytest.raises(TechniqueError, match="layouts"):
        Interpreter(make_model(nodes, {"w": floats(8, 8)}, x=[8], y=[8]))


def test_a_table_of_embeddings_is_a_layer(make_model, floats, run):
    nodes = [("Cast", "x", "ids", {"to": 7}), ("Gather", "table ids", "y", {})]
    model = make_model(nodes, {"table": floats(10, 4)}, x=[3], y=[3, 4])
    x = np.array([[1, 0, 9]], dtype=np.float32)

    network = Interpreter(model)

    assert isinstance(network.layers[0], torch.nn.Embedding)
    np.testing.assert_array_equal(network(torch.from_numpy(x))[0].detach().numpy(), run(model, x))
