"""Reading and rewriting ONNX graphs: the few helpers that all techniques share."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from slipstream_builder.arrays import Array

STANDARD_DOMAINS = ("", "ai.onnx")


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a deep copy, so that the original stays as it was."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    return twin


def opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operator set; 0 when the model imports none."""
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=0)


def constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """Return initialisers and the outputs of Constant nodes, by name."""
    found: dict[str, Array] = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = _constant(node)
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes: numbers, tuples of numbers, strings as str, tensors as arrays."""
    return {attribute.name: _value(attribute) for attribute in node.attribute}


def consumers(graph: onnx.GraphProto) -> Counter[str]:
    """Return how often each tensor is used, as a node's input or as an output of the graph."""
    used = Counter(name for node in graph.node for name in node.input)
    used.update(output.name for output in graph.output)
    return used


def data_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs a caller feeds: those that are not initialisers."""
    held = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in held]


def replace_constants(graph: onnx.GraphProto, changed: Mapping[str, Array]) -> None:
    """Put new arrays in the place of initialisers and Constant nodes, under their old names."""
    for tensor in graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(_tensor(changed[tensor.name], tensor.name))
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in changed:
            value = _tensor(changed[node.output[0]], node.output[0])
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("value", value))


def fused_biases(graph: onnx.GraphProto, constants: Mapping[str, Array]) -> dict[str, onnx.NodeProto]:
    """Return, by the output of a MatMul with constant weights, the Add of a constant vector that alone reads it."""
    used = consumers(graph)
    products = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "MatMul" and used[node.output[0]] == 1 and _rank(constants, node.input[1]) == 2
    }
    found: dict[str, onnx.NodeProto] = {}
    for add in (node for node in graph.node if node.op_type == "Add"):
        for product, bias in (tuple(add.input), tuple(reversed(add.input))):
            if product in products and used[bias] == 1 and _fits(constants, bias, products[product].input[1]):
                found[product] = add
    return found


def _tensor(array: Array, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def _constant(node: onnx.NodeProto) -> Array:
    (value,) = attributes(node).values()
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value, dtype=_constant_dtype(value))


def _constant_dtype(value: Any) -> type[np.generic]:
    first = value[0] if isinstance(value, tuple) and value else value
    return np.int64 if isinstance(first, int) else np.float32


def _value(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value) if attribute.type in (attribute.INTS, attribute.FLOATS) else value


def _fits(constants: Mapping[str, Array], bias: str, weight: str) -> bool:
    return _rank(constants, bias) == 1 and constants[bias].shape[0] == constants[weight].shape[1]


def _rank(constants: Mapping[str, Array], name: str) -> int:
    return constants[name].ndim if name in constants and constants[name].dtype == np.float32 else -1
