"""Counts what a model holds and does: parameters, and multiplications for one row; pure."""

import math
from collections.abc import Mapping

import onnx

_WEIGHT_TYPES = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
    }
)
_MATRIX = {"MatMul": 1, "Gemm": 1, "MatMulInteger": 1, "QLinearMatMul": 3, "DynamicQuantizeMatMul": 1}
_SMALL = 1024
_CONV = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}


def parameters(model: onnx.ModelProto) -> int:
    """Return the number of weights, without scales and zero points of quantisation."""
    scales = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:]
    }
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type in _WEIGHT_TYPES and tensor.dims and tensor.name not in scales
    )


def multiplications(model: onnx.ModelProto, rows: Mapping[str, tuple[int, ...]]) -> int:
    """Return the multiplications of matrix products and convolutions with constant weights, for one row.

    `rows` are the inputs' shapes without the batch axis; an axis whose size stays unknown counts as one.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = _output_shapes(model, rows)
    total = 0
    for node in model.graph.node:
        position = _MATRIX.get(node.op_type, _CONV.get(node.op_type))
        if position is None or len(node.input) <= position or node.input[position] not in weights:
            continue
        outer = shapes.get(node.output[0], ())
        places = outer[:-1] if node.op_type in _MATRIX else outer[2:]
        total += math.prod(weights[node.input[position]]) * math.prod(places)
    return total


def _output_shapes(model: onnx.ModelProto, rows: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    sketch = _sketch(model, rows)
    try:
        inferred = onnx.shape_inference.infer_shapes(sketch, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):
        inferred = sketch
    return {
        value.name: tuple(max(dim.dim_value, 1) for dim in value.type.tensor_type.shape.dim)
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }


def _sketch(model: onnx.ModelProto, rows: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """Return the graph with inputs of one row of the given shapes, and without the values of its large weights."""
    sketch = onnx.ModelProto(ir_version=model.ir_version)
    sketch.opset_import.extend(model.opset_import)
    sketch.graph.name = model.graph.name
    sketch.graph.node.extend(model.graph.node)
    sketch.graph.output.extend(model.graph.output)
    for value in model.graph.input:
        fixed = sketch.graph.input.add()
        fixed.CopyFrom(value)
        for dim, size in zip(fixed.type.tensor_type.shape.dim, (1, *rows.get(value.name, ())), strict=False):
            dim.dim_value = size
    declared = {value.name for value in sketch.graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            sketch.graph.initializer.append(tensor)
        elif tensor.name not in declared:
            weight = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tuple(tensor.dims))
            sketch.graph.input.append(weight)
    return sketch
