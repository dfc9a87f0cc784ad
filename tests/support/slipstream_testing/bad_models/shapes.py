"""Inputs, outputs and shapes that cannot be served."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slipstream_testing.bad_models.networks import network, relu
from slipstream_testing.bad_models.registry import bad
from slipstream_testing.onnx_models import model


@bad("is a scalar")
def scalar_input() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "k"], ["y"])], {"x": ["N", 16], "k": []}, {"y": ["N", 16]})


@bad("is a sequence")
def sequence_input() -> onnx.ModelProto:
    made = network(helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0))
    made.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    return made


@bad("is optional")
def optional_input() -> onnx.ModelProto:
    made = network(helper.make_node("OptionalGetElement", ["x"], ["y"]), opset=18)
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 16]))
    made.graph.input[0].CopyFrom(helper.make_value_info("x", kind))
    return made


def _identity(kind: int) -> onnx.ModelProto:
    made = network(helper.make_node("Identity", ["x"], ["y"]))
    for value in (made.graph.input[0], made.graph.output[0]):
        value.type.tensor_type.elem_type = kind
    return made


@bad("is string; only tensors of numbers")
def text_input() -> onnx.ModelProto:
    return _identity(TensorProto.STRING)


@bad("is bfloat16; only tensors of numbers")
def bfloat16_input() -> onnx.ModelProto:
    return _identity(TensorProto.BFLOAT16)


@bad("negative size")
def negative_input_shape() -> onnx.ModelProto:
    return model([relu()], {"x": ["N", -16]}, {"y": ["N", 16]})


@bad("more elements than a build takes")
def input_of_terabytes() -> onnx.ModelProto:
    return model([relu()], {"x": ["N", 1 << 40]}, {"y": ["N", 1 << 40]})


@bad("fixed to different sizes")
def inputs_of_different_batches() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "z"], ["y"])], {"x": [2, 16], "z": [3, 16]}, {"y": [2, 16]})


@bad("model: ")
def shapes_that_do_not_multiply() -> onnx.ModelProto:
    return network(helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.zeros((3, 16))})


@bad("model: ")
def types_that_do_not_add() -> onnx.ModelProto:
    made = network(helper.make_node("Add", ["x", "w"], ["y"]))
    made.graph.initializer.append(numpy_helper.from_array(np.zeros(16, np.int64), "w"))
    return made


@bad("could not share a batch")
def rows_that_mix() -> onnx.ModelProto:
    return network(helper.make_node("Softmax", ["x"], ["y"], axis=0))


@bad("dynamic first axis")
def batch_folded_into_another_axis() -> onnx.ModelProto:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["z"]), helper.make_node("Flatten", ["z"], ["y"])]
    made = model(nodes, {"x": [1, 16]}, {"y": [4, 4]})
    made.graph.initializer.append(numpy_helper.from_array(np.array([4, 4]), "s"))
    return made
