"""Weights in 8 or 4 bits by blocks (MatMulNBits), whose kernel quantises its activations to int8 row by row.

ONNX Runtime's quantiser takes MatMuls, so every Gemm becomes MatMul and Add first. Accuracy level 4 asks for int8
arithmetic; the kernel gives every block of a row its own scale, so that rows do not influence each other.
"""

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.configs import QuantizeWeights
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.editing import drop_unread
from slipstream_builder.techniques.quantization.products import weights_of, with_matmuls
from slipstream_builder.techniques.quantization.quiet import quiet
from slipstream_builder.techniques.quantization.tables import with_int8_tables

# 8 bits lose nothing by long blocks, which run a third faster than blocks of 32; 4 bits need the short ones.
BLOCKS = {8: (128, 64, 32), 4: (32,)}
_INT8_ARITHMETIC = 4


def quantize_weights(technique: QuantizeWeights, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with the weights of its products in 8 or 4 bits by blocks, and its embedding tables in int8.

    Raises:
        TechniqueError: there is no product by constant weights, or ONNX Runtime cannot quantise it.
    """
    prepared = with_int8_tables(with_matmuls(optimize(model)))
    constants = graphs.constants(prepared.graph)
    matrices = [weights_of(node, constants) for node in prepared.graph.node]
    shapes = [(matrix.shape[0], matrix.shape[1]) for matrix in matrices if matrix is not None]
    if not shapes:
        raise TechniqueError("no product by constant float32 weights: nothing to keep in fewer bits")
    settings = DefaultWeightOnlyQuantConfig(
        block_size=_block(shapes, BLOCKS[technique.bits]),
        is_symmetric=True,
        accuracy_level=_INT8_ARITHMETIC,
        bits=technique.bits,
    )
    try:
        with quiet():
            quantizer = MatMulNBitsQuantizer(prepared, algo_config=settings)
            quantizer.process()
    except Exception as error:
        raise TechniqueError(f"ONNX Runtime cannot quantise the weights: {error}") from error
    quantized: onnx.ModelProto = quantizer.model.model
    drop_unread(quantized.graph)
    return quantized


def _block(shapes: list[tuple[int, int]], sizes: tuple[int, ...]) -> int:
    """Return the largest of `sizes` (largest first) whose filling of last blocks costs at most 5 % over the smallest.

    `shapes` are the matrices' [inputs, outputs]; a column of inputs is filled up to whole blocks.
    """

    def stored(size: int) -> int:
        return sum(-(-inputs // size) * size * outputs for inputs, outputs in shapes)

    return next(size for size in sizes if stored(size) <= 1.05 * stored(sizes[-1]))
