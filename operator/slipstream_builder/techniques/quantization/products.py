"""Matrix products by constant weights, in the one form that weight quantisers know: MatMul, then Add of the bias."""

import numpy as np
import onnx

from slipstream_builder.arrays import Array
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.quantization.editing import Editor


def with_matmuls(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with every Gemm by a constant as MatMul and Add, its factors and its transposition in the weights.

    A Gemm that transposes its activations, or scales a bias that is no constant, stays.
    """
    editor = Editor(model)
    for node in editor.model.graph.node:
        if node.op_type == "Gemm" and _is_plain(node, editor.constants):
            _split(node, editor)
        else:
            editor.keep(node)
    return editor.finish()


def weights_of(node: onnx.NodeProto, constants: dict[str, Array]) -> Array | None:
    """Return the float32 matrix [inputs, outputs] that a MatMul multiplies by; None where there is none."""
    weights = constants.get(node.input[1]) if node.op_type == "MatMul" else None
    return weights if weights is not None and weights.ndim == 2 and weights.dtype == np.float32 else None


def _is_plain(node: onnx.NodeProto, constants: dict[str, Array]) -> bool:
    given = graphs.attributes(node)
    constant_bias = len(node.input) < 3 or not node.input[2] or node.input[2] in constants
    return node.input[1] in constants and not given.get("transA") and (constant_bias or given.get("beta", 1.0) == 1.0)


def _split(node: onnx.NodeProto, editor: Editor) -> None:
    given = graphs.attributes(node)
    weights, biased = node.input[1], len(node.input) > 2 and bool(node.input[2])
    if given.get("transB") or given.get("alpha", 1.0) != 1.0:
        array = editor.constants[weights]
        array = array.T if given.get("transB") else array
        weights = editor.constant(array * array.dtype.type(given.get("alpha", 1.0)), f"{weights}/matrix")
    if not biased:
        editor.add("MatMul", [node.input[0], weights], node.output[0])
        return
    bias = node.input[2]
    if given.get("beta", 1.0) != 1.0:
        array = editor.constants[bias]
        bias = editor.constant(array * array.dtype.type(given["beta"]), f"{bias}/scaled")
    editor.add("Add", [editor.add("MatMul", [node.input[0], weights]), bias], node.output[0])
