"""The models that are worn: some give back a nonce and fail when told to, one has rows that could disturb others."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from slipstream_contract.manifest import TensorSpec
from slipstream_testing.artifacts import TinyModel

TRAP = 9
"""A row whose trap is this fails its run: it is past the end of the table that traps are looked up in."""

WIDTH, LAYERS = 512, 4
FEATURES, INTEGERS, HIDDEN = 16, 4, 64

_BATCH = "batch"
_OPSET = 17


def echo(layers: int) -> TinyModel:
    """Return a model that answers each row's `nonce`, after so many dense layers whose result counts for nothing.

    None take microseconds, so that batches run on the event loop; a few take a millisecond, and run on the thread.
    """
    inputs = (TensorSpec("nonce", "INT64", (-1, 1)), TensorSpec("trap", "INT64", (-1, 1)))
    outputs = (TensorSpec("echo", "INT64", (-1, 1)),)
    random = np.random.default_rng(0)
    weights = {"table": np.zeros(4, np.int64), "none": np.zeros(1, np.float32)}
    nodes = [helper.make_node("Gather", ["table", "trap"], ["looked_up"])]
    last = "wide"
    weights["ones"] = np.ones((1, WIDTH), np.float32)
    nodes.append(helper.make_node("Cast", ["looked_up"], ["number"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("MatMul", ["number", "ones"], [last]))
    for layer in range(layers):
        weights[f"w{layer}"] = (random.normal(size=(WIDTH, WIDTH)) / WIDTH).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"h{layer}"]))
        last = f"h{layer}"
    nodes += [
        helper.make_node("ReduceMax", [last], ["most"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["most", "none"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["zero"], to=TensorProto.INT64),
        helper.make_node("Add", ["nonce", "zero"], ["echo"]),
    ]
    golden = {"nonce": np.arange(4, dtype=np.int64).reshape(4, 1), "trap": np.zeros((4, 1), np.int64)}
    return _model(nodes, inputs, outputs, weights, golden)


def mixed() -> TinyModel:
    """Return a model of what networks are made of, over floats and integers of any size."""
    inputs = (TensorSpec("x", "FP32", (-1, FEATURES)), TensorSpec("k", "INT64", (-1, INTEGERS)))
    outputs = (TensorSpec("y", "FP32", (-1, HIDDEN)), TensorSpec("shares", "FP32", (-1, HIDDEN)))
    random = np.random.default_rng(1)
    weights = {
        "w1": random.normal(size=(FEATURES + INTEGERS, HIDDEN)).astype(np.float32),
        "b1": random.normal(size=HIDDEN).astype(np.float32),
        "scale": np.ones(HIDDEN, np.float32),
        "w2": random.normal(size=(HIDDEN, HIDDEN)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["k"], ["kf"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["x", "kf"], ["joined"], axis=1),
        helper.make_node("Gemm", ["joined", "w1", "b1"], ["h"]),
        helper.make_node("LayerNormalization", ["h", "scale"], ["n"], axis=-1),
        helper.make_node("Relu", ["n"], ["a"]),
        helper.make_node("MatMul", ["a", "w2"], ["y"]),
        helper.make_node("Softmax", ["y"], ["shares"], axis=-1),
    ]
    golden = {"x": np.ones((2, FEATURES), np.float32), "k": np.ones((2, INTEGERS), np.int64)}
    return _model(nodes, inputs, outputs, weights, golden)


def _model(
    nodes: list[object],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    weights: dict[str, np.ndarray],
    golden: dict[str, np.ndarray],
) -> TinyModel:
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "worn", [_value(s) for s in inputs], [_value(s) for s in outputs], initializers)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    return TinyModel(proto, inputs, outputs, golden)


def _value(spec: TensorSpec) -> object:
    kind = TensorProto.FLOAT if spec.datatype == "FP32" else TensorProto.INT64
    return helper.make_tensor_value_info(spec.name, kind, [_BATCH, *spec.shape[1:]])
