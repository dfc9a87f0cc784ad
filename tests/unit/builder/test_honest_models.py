"""Every honest model becomes one that takes batches of any size, with the same answers as the one it came from."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipstream_builder import sessions
from slipstream_builder.errors import SourceError
from slipstream_builder.fetching.fetch import Fetched
from slipstream_builder.sources import confinement, loading
from slipstream_builder.techniques.optimize import optimize
from slipstream_testing import onnx_models
from slipstream_testing.inspector import Inspector

NEWEST = onnx.defs.onnx_opset_version()


@pytest.fixture(scope="module")
def inspector():
    started = Inspector()
    yield started
    started.close()


@pytest.fixture
def load(inspector, monkeypatch):
    monkeypatch.setattr(confinement, "_run", inspector.run)
    return lambda model: loading.load(Fetched(model.SerializeToString(), "digest"), threads=1)


def answers(model, rows):
    return sessions.run(sessions.open_session(model.SerializeToString(), 1), rows)


def assert_rows_are_answered_alone_as_together(loaded, items=5):
    rows = loading.synthetic_rows(loaded.inputs, items, seed=3)
    together = answers(loaded.proto, rows)
    for place in range(items):
        alone = answers(loaded.proto, {name: array[place : place + 1] for name, array in rows.items()})
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_of_them[place], rtol=1e-4, atol=1e-5)


def network(nodes, inputs, outputs, constants=None, opset=17, ir=10):
    """Return a model whose inputs and outputs are (dtype, shape) by name."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize("opset", range(11, NEWEST + 1))
def test_every_opset_from_11_is_taken_and_optimised(opset, load):
    source = onnx_models.mlp()
    source.opset_import[0].version = opset
    source.ir_version = onnx.helper.find_min_ir_version_for(source.opset_import)

    loaded = load(source)
    optimised = optimize(loaded.proto)

    rows = loading.synthetic_rows(loaded.inputs, 4, seed=0)
    np.testing.assert_allclose(answers(optimised, rows)[0], answers(source, rows)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(sessions.DTYPES))
def test_every_dtype_that_the_runtime_serves_is_taken(kind, load):
    dtype = sessions.DTYPES[kind][1]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node("Identity", ["x"], ["y"])

    loaded = load(network([node], {"x": (element, ["N", 3])}, {"y": (element, ["N", 3])}))

    assert sessions.numpy_dtype(loaded.inputs[0]) == np.dtype(dtype)
    assert loaded.outputs[0].shape == (-1, 3)
    assert_rows_are_answered_alone_as_together(loaded)


def encoder(batch="N", tokens="T", seed=0):
    """Return a little sentence encoder: ids and a mask over a shared axis of tokens, two outputs."""
    generator = np.random.default_rng(seed)
    constants = {
        "table": generator.standard_normal((100, 8)).astype(np.float32),
        "last": np.array([2]),
        "middle": np.array([1]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Cast", ["attention_mask"], ["floats"], to=FLOAT),
        helper.make_node("Unsqueeze", ["floats", "last"], ["weights"]),
        helper.make_node("Mul", ["embedded", "weights"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["floats", "middle"], ["lengths"], keepdims=1),
        helper.make_node("Div", ["sums", "lengths"], ["sentence"]),
        helper.make_node("Identity", ["masked"], ["words"]),
    ]
    ids = (TensorProto.INT64, [batch, tokens])
    return network(
        nodes,
        {"input_ids": ids, "attention_mask": ids},
        {"sentence": (FLOAT, [batch, 8]), "words": (FLOAT, [batch, tokens, 8])},
        constants,
    )


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_token_ids_with_a_mask_share_a_free_axis_of_tokens(batch, load):
    loaded = load(encoder(batch))

    assert [spec.shape for spec in loaded.inputs] == [(-1, -1), (-1, -1)]
    assert [spec.shape for spec in loaded.outputs] == [(-1, 8), (-1, -1, 8)]
    assert_rows_are_answered_alone_as_together(loaded)


def test_a_dynamic_batch_is_left_as_it_is(load):
    source = onnx_models.mlp()
    loaded = load(source)

    assert loaded.notes == ()
    assert loaded.agreement is None
    assert loaded.proto.graph.node == source.graph.node


def flattened(batch, opset=17):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    return network(nodes, {"x": (FLOAT, [batch, 2, 8])}, {"y": (FLOAT, [batch, 16])}, {"shape": np.array([batch, -1])})


def unflattened(batch):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    return network(
        nodes, {"x": (FLOAT, [batch, 16])}, {"y": (FLOAT, [batch, 2, 8])}, {"shape": np.array([batch, 2, 8])}
    )


def with_a_class_token(batch):
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([batch, 1, 8]))),
        helper.make_node("Expand", ["token", "shape"], ["tokens"]),
        helper.make_node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    return network(
        nodes,
        {"x": (FLOAT, [batch, 4, 8])},
        {"y": (FLOAT, [batch, 5, 8])},
        {"token": np.arange(8, dtype=np.float32).reshape(1, 1, 8)},
    )


def with_a_folded_class_token(batch):
    nodes = [helper.make_node("Concat", ["tokens", "x"], ["y"], axis=-2)]
    token = np.tile(np.arange(8, dtype=np.float32).reshape(1, 1, 8), (batch, 1, 1))
    return network(nodes, {"x": (FLOAT, [batch, 4, 8])}, {"y": (FLOAT, [batch, 5, 8])}, {"tokens": token})


def with_a_first_state(batch):
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Concat", ["zeros", "x"], ["y"], axis=1),
    ]
    return network(nodes, {"x": (FLOAT, [batch, 4])}, {"y": (FLOAT, [batch, 6])}, {"shape": np.array([batch, 2])})


def resized(batch):
    nodes = [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest")]
    sizes = np.array([batch, 1, 4, 4])
    return network(nodes, {"x": (FLOAT, [batch, 1, 2, 2])}, {"y": (FLOAT, [batch, 1, 4, 4])}, {"sizes": sizes})


def recurrent(batch):
    """An LSTM over four steps whose first states, zeros, were folded for one batch size."""
    generator = np.random.default_rng(0)
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r", "", "", "state", "state"], ["", "last"], hidden_size=3),
        helper.make_node("Squeeze", ["last", "first"], ["y"]),
    ]
    constants = {
        "w": generator.standard_normal((1, 12, 2)).astype(np.float32),
        "r": generator.standard_normal((1, 12, 3)).astype(np.float32),
        "state": np.zeros((1, batch, 3), np.float32),
        "first": np.array([0]),
    }
    return network(nodes, {"x": (FLOAT, [batch, 4, 2])}, {"y": (FLOAT, [batch, 3])}, constants)


def with_heads(batch):
    """Batch and heads are merged and split again, so the batch is no first size of every shape in between."""
    nodes = [
        helper.make_node("Reshape", ["x", "split"], ["heads"]),
        helper.make_node("Transpose", ["heads"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["turned", "merged"], ["y"]),
    ]
    constants = {"split": np.array([batch, 4, 2]), "merged": np.array([batch, 8])}
    return network(nodes, {"x": (FLOAT, [batch, 8])}, {"y": (FLOAT, [batch, 8])}, constants)


BAKED_IN = [
    flattened,
    unflattened,
    with_a_class_token,
    with_a_folded_class_token,
    with_a_first_state,
    resized,
    recurrent,
    with_heads,
]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("make", BAKED_IN)
def test_a_batch_baked_into_the_graph_is_freed(make, batch, load):
    source = make(batch)
    loaded = load(source)

    assert loaded.inputs[0].shape[0] == -1
    assert loaded.notes == (f"the model was exported for a batch of {batch}; its batch axis was freed and checked",)
    rows = loading.synthetic_rows(loaded.inputs, batch, seed=1)
    np.testing.assert_allclose(answers(loaded.proto, rows)[0], answers(source, rows)[0], rtol=1e-6)
    assert_rows_are_answered_alone_as_together(loaded)


def test_rows_of_a_constant_that_differ_are_not_taken_for_the_batch(load):
    nodes = [helper.make_node("Concat", ["tokens", "x"], ["y"], axis=1)]
    tokens = np.arange(4, dtype=np.float32).reshape(4, 1)

    with pytest.raises(SourceError, match="dynamic first axis"):
        load(network(nodes, {"x": (FLOAT, [4, 4])}, {"y": (FLOAT, [4, 5])}, {"tokens": tokens}))


def test_functions_are_inlined_and_texts_dropped(load):
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    source = onnx_models.model(
        [helper.make_node("Twice", ["x"], ["y"], domain="local", doc_string="File /home/me/train.py")],
        {"x": ["N", 16]},
        {"y": ["N", 16]},
        domains=("local",),
    )
    source.functions.append(function)

    loaded = load(source)

    assert [node.op_type for node in loaded.proto.graph.node] == ["Add"]
    assert b"/home/me" not in loaded.proto.SerializeToString()
