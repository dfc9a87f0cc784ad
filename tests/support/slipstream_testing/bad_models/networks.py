"""Parts of small models."""

from typing import Any

import onnx
from onnx import TensorProto, helper

from slipstream_testing.onnx_models import model


def network(*nodes: onnx.NodeProto, weights: dict[str, Any] | None = None, opset: int = 17) -> onnx.ModelProto:
    """Return a model of one input x and one output y, both of 16 columns."""
    return model(list(nodes), {"x": ["N", 16]}, {"y": ["N", 16]}, weights, opset)


def relu(source: str = "x", target: str = "y", **more: Any) -> onnx.NodeProto:
    """Return a Relu node."""
    return helper.make_node("Relu", [source], [target], **more)


def with_weight(tensor: TensorProto) -> onnx.ModelProto:
    """Return a good network that holds the tensor too."""
    made = network(relu())
    made.graph.initializer.append(tensor)
    return made


def function(name: str, *nodes: onnx.NodeProto) -> onnx.FunctionProto:
    """Return a function of the domain `local`."""
    return helper.make_function("local", name, ["a"], ["b"], list(nodes), [helper.make_opsetid("", 17)])


def calling(*functions: onnx.FunctionProto) -> onnx.ModelProto:
    """Return a model that calls the first of the functions."""
    made = model(
        [helper.make_node(functions[0].name, ["x"], ["y"], domain="local")],
        {"x": ["N", 16]},
        {"y": ["N", 16]},
        domains=("local",),
    )
    made.functions.extend(functions)
    for each in made.functions:
        each.opset_import.append(helper.make_opsetid("local", 1))
    return made


def branches(inner: onnx.GraphProto) -> onnx.NodeProto:
    """Return a condition whose both branches are the graph `inner`."""
    return helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner)
