"""Models that take all the memory or all the time there is."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slipstream_testing.bad_models.networks import network
from slipstream_testing.bad_models.registry import bad

_MEMORY = "MiB of memory"


def _shape_of_rows(*sizes: int) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Shape", ["x"], ["shape"], end=1),
        helper.make_node("Constant", [], ["rest"], value=numpy_helper.from_array(np.array(sizes))),
        helper.make_node("Concat", ["shape", "rest"], ["large"], axis=0),
    ]


@bad(_MEMORY)
def constant_of_terabytes() -> onnx.ModelProto:
    return network(*_shape_of_rows(1 << 40), helper.make_node("ConstantOfShape", ["large"], ["y"]))


@bad(_MEMORY)
def expansion_to_gigabytes() -> onnx.ModelProto:
    return network(*_shape_of_rows(1 << 26, 16), helper.make_node("Expand", ["x", "large"], ["y"]))


@bad("exceeds the supported maximum")
def tiles_of_gigabytes() -> onnx.ModelProto:
    node = helper.make_node("Tile", ["x", "times"], ["y"])
    made = network(node)
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 1 << 28]), "times"))
    return made


@bad(_MEMORY)
def range_of_gigabytes() -> onnx.ModelProto:
    bounds = {"start": 0, "end": 1 << 31, "step": 1}
    made = network(
        helper.make_node("Range", ["start", "end", "step"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "number"], ["y"]),
    )
    made.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in bounds.items())
    return made


def _loop(*nodes: onnx.NodeProto, carried: onnx.ValueInfoProto) -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), *nodes],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            carried,
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    made = network(
        helper.make_node("Loop", ["", "yes", "x"], ["z"], body=body),
        helper.make_node("ReduceSum", ["z"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return made


@bad("took more than")
def loop_without_end() -> onnx.ModelProto:
    node = helper.make_node("Relu", ["state"], ["next"])
    return _loop(node, carried=helper.make_tensor_value_info("state", TensorProto.FLOAT, None))


@bad(_MEMORY)
def loop_that_doubles_its_state() -> onnx.ModelProto:
    node = helper.make_node("Concat", ["state", "state"], ["next"], axis=0)
    return _loop(node, carried=helper.make_tensor_value_info("state", TensorProto.FLOAT, None))
