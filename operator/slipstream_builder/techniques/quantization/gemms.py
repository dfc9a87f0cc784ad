"""Matrix products of two-axis tensors in one form: Gemm with its bias inside.

In QDQ form ONNX Runtime runs a Gemm, bias included, as one int8 kernel (QGemm) with a float32 result. A MatMul and
its Add would be merged to a Gemm too, but only after their bias could have been quantised, and then run in float32.
"""

import onnx
from onnx import helper, shape_inference

from slipstream_builder.techniques import graphs


def with_gemms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with every MatMul of a two-axis tensor by a constant, and the Add after it, as one Gemm."""
    changed = graphs.copied(model)
    graph = changed.graph
    constants = graphs.constants(graph)
    flat = _two_axis_tensors(model)
    biases = graphs.fused_biases(graph, constants)
    nodes: list[onnx.NodeProto] = []
    absorbed: set[str] = set()
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[0] in flat and node.input[1] in constants:
            add = biases.get(node.output[0])
            nodes.append(_gemm(node, add))
            absorbed.update(add.output if add is not None else ())
        else:
            nodes.append(node)
    kept = [node for node in nodes if node.op_type != "Add" or node.output[0] not in absorbed]
    del graph.node[:]
    graph.node.extend(kept)
    return changed


def _gemm(node: onnx.NodeProto, add: onnx.NodeProto | None) -> onnx.NodeProto:
    if add is None:
        return helper.make_node("Gemm", list(node.input), list(node.output), name=node.name)
    bias = next(name for name in add.input if name != node.output[0])
    return helper.make_node("Gemm", [*node.input, bias], list(add.output), name=node.name)


def _two_axis_tensors(model: onnx.ModelProto) -> set[str]:
    graph = shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input)
    return {value.name for value in values if len(value.type.tensor_type.shape.dim) == 2}
