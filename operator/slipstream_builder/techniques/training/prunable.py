"""The same graph, written so that its channels can go.

Exporters write `x.flatten(1)` as a Reshape to [-1, 3136], whose second number is wrong after pruning; a Flatten holds
for every count of channels. And simplifiers merge constants that happen to be equal, two fresh normalisations say,
which part ways as soon as they are pruned or trained; each layer gets its own vectors back.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, shape_inference

from slipstream_builder.arrays import Array
from slipstream_builder.techniques import graphs


def with_prunable_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with flattening Reshapes as Flatten, and shared vectors given to each of their readers."""
    changed = graphs.copied(model)
    _flatten(changed)
    _untie(changed.graph)
    return changed


def _flatten(model: onnx.ModelProto) -> None:
    shapes, constants = _known_shapes(model), graphs.constants(model.graph)
    for node in model.graph.node:
        if node.op_type != "Reshape" or not _flattens(shapes.get(node.input[0]), _target(node, constants)):
            continue
        flat = helper.make_node("Flatten", [node.input[0]], list(node.output), name=node.name, axis=1)
        node.CopyFrom(flat)
    used = graphs.consumers(model.graph)
    kept = [tensor for tensor in model.graph.initializer if used[tensor.name]]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _target(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Array | None:
    """Return the constant sizes a Reshape asks for; None where they vary, or a 0 among them means no items at all."""
    sizes = constants.get(node.input[1])
    literal = graphs.attributes(node).get("allowzero", 0)
    return None if sizes is not None and literal and 0 in sizes else sizes


def _flattens(source: Sequence[int] | None, target: Array | None) -> bool:
    """Say whether a tensor of `source` sizes (-1: variable), reshaped to `target`, keeps the first axis alone."""
    if source is None or target is None or len(source) < 2 or target.shape != (2,) or min(source[1:]) < 1:
        return False
    return bool(target[0] in {-1, 0} and target[1] in {-1, np.prod(source[1:])} and target[0] != target[1])


def _known_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    graph = shape_inference.infer_shapes(model).graph
    return {
        value.name: [axis.dim_value if axis.HasField("dim_value") else -1 for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input)
    }


def _untie(graph: onnx.GraphProto) -> None:
    """Matrices stay shared: a copy of those would cost the bytes that pruning is to save."""
    vectors = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) == 1 and tensor.data_type == onnx.TensorProto.FLOAT
    }
    seen: set[str] = set()
    for number, node in enumerate(graph.node):
        for position, name in enumerate(node.input):
            if name in vectors and name in seen:
                twin = graph.initializer.add()
                twin.CopyFrom(vectors[name])
                twin.name = node.input[position] = f"{name}.{number}"
            seen.add(name)
