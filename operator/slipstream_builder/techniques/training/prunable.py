"""The same graph, written so that its channels and attention heads can go.

Exporters write `x.flatten(1)` as a Reshape to [-1, 3136], whose second number is wrong after pruning; a Flatten holds
for every count of channels. Reshapes that split heads off or join them name the number of heads; it gets free. And
simplifiers merge constants that happen to be equal, two fresh normalisations say, which part ways as soon as they are
pruned or trained; each layer gets its own vectors back.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from slipstream_builder.arrays import Array
from slipstream_builder.techniques import graphs


def with_prunable_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with Reshapes that hold for any count of channels, and vectors of its own for every reader."""
    changed = graphs.copied(model)
    _flatten(changed)
    _free_heads(changed)
    _drop_unread(changed.graph)
    _untie(changed.graph)
    return changed


def _flatten(model: onnx.ModelProto) -> None:
    shapes, constants = _known_shapes(model), graphs.constants(model.graph)
    for node in model.graph.node:
        if node.op_type != "Reshape" or not _flattens(shapes.get(node.input[0]), _target(node, constants)):
            continue
        flat = helper.make_node("Flatten", [node.input[0]], list(node.output), name=node.name, axis=1)
        node.CopyFrom(flat)


def _drop_unread(graph: onnx.GraphProto) -> None:
    used = graphs.consumers(graph)
    kept = [tensor for tensor in graph.initializer if used[tensor.name]]
    del graph.initializer[:]
    graph.initializer.extend(kept)


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


def _free_heads(model: onnx.ModelProto) -> None:
    """Let Reshapes on either side of a head's Transpose keep the first two axes, and count the heads themselves."""
    graph, constants = model.graph, graphs.constants(model.graph)
    made = {name: node for node in graph.node for name in node.output}
    projected = {node.input[0] for node in graph.node if node.op_type == "MatMul" and node.input[1] in constants}
    ranks = {name: len(sizes) for name, sizes in _known_shapes(model).items()}
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        last = _last_sizes(node, made, constants)
        swaps = [reader for reader in graph.node if node.output[0] in reader.input]
        before = made.get(node.input[0])
        if ranks.get(node.input[0]) == 3 and len(last) == 4 and last[3] > 0 and swaps and all(map(_swaps, swaps)):
            _retarget(graph, node, [0, 0, -1, last[3]])
        elif len(last) == 3 and before is not None and _swaps(before) and node.output[0] in projected:
            _retarget(graph, node, [0, 0, -1])


def _swaps(node: onnx.NodeProto) -> bool:
    """Say whether it is a Transpose of four axes that brings the third to the second place."""
    order = list(graphs.attributes(node).get("perm", ())) if node.op_type == "Transpose" else []
    return len(order) == 4 and order[0] == 0 and order[1] == 2


def _last_sizes(node: onnx.NodeProto, made: Mapping[str, onnx.NodeProto], constants: Mapping[str, Array]) -> list[int]:
    """Return the sizes a Reshape asks for, 0 where they vary; none where not even their number is known."""
    sizes = constants.get(node.input[1])
    if sizes is not None:
        return [int(size) for size in sizes]
    parts = made.get(node.input[1])
    if parts is None or parts.op_type != "Concat":
        return []
    found = [constants.get(name, np.zeros(1, np.int64)) for name in parts.input]
    return [int(size) for part in found for size in np.atleast_1d(part)]


def _retarget(graph: onnx.GraphProto, node: onnx.NodeProto, sizes: Sequence[int]) -> None:
    name = f"{node.output[0]}.sizes"
    graph.initializer.append(numpy_helper.from_array(np.array(sizes, dtype=np.int64), name))
    node.input[1] = name
    del node.attribute[:]


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
