"""Reshapes that only flatten, freed from the channel count written into them.

Exporters write `x.flatten(1)` as a Reshape to [-1, 3136]. After pruning the second number is wrong, so such constants
become [0, -1]: the same result for every count of channels.
"""

import numpy as np
import onnx
from onnx import shape_inference

from slipstream_builder.techniques import graphs


def with_flexible_reshapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with the shapes of flattening Reshapes written as [0, -1]."""
    shapes = _known_shapes(model)
    constants = graphs.constants(model.graph)
    used = graphs.consumers(model.graph)
    flat = {
        node.input[1]: np.array([0, -1], dtype=np.int64)
        for node in model.graph.node
        if node.op_type == "Reshape"
        and used[node.input[1]] == 1
        and _flattens(shapes.get(node.input[0]), constants.get(node.input[1]))
    }
    changed = graphs.copied(model)
    graphs.replace_constants(changed.graph, flat)
    return changed


def _flattens(source: list[int] | None, target: np.ndarray | None) -> bool:
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
