"""Counts what a model holds and does: parameters, and multiplications for one row; pure."""

import math

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


def multiplications(model: onnx.ModelProto) -> int:
    """Return the multiplications of matrix products and convolutions with constant weights, for one row.

    Axes of unknown size count as one, so sequence models come out too low.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = _output_shapes(model)
    total = 0
    for node in model.graph.node:
        position = _MATRIX.get(node.op_type, _CONV.get(node.op_type))
        if position is None or len(node.input) <= position or node.input[position] not in weights:
            continue
        outer = shapes.get(node.output[0], ())
        places = outer[1:-1] if node.op_type in _MATRIX else outer[2:]
        total += math.prod(weights[node.input[position]]) * math.prod(places)
    return total


def _output_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError):
        inferred = model
    return {
        value.name: tuple(max(dim.dim_value, 1) for dim in value.type.tensor_type.shape.dim)
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
