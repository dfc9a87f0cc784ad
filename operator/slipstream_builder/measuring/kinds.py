"""Says what kind of network a graph is, from its operators; pure."""

from typing import Literal

import onnx

GraphKind = Literal["transformer", "recurrent", "convolutional", "dense", "other"]

_RECURRENT = frozenset({"LSTM", "GRU", "RNN", "Scan", "Loop"})
_ATTENTION = frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention"})
_PRODUCTS = frozenset({"MatMul", "Gemm", "FusedMatMul"})


def kind_of(model: onnx.ModelProto) -> GraphKind:
    """Return the kind: products of two activations beside a softmax make a transformer, whatever else is in it."""
    types = {node.op_type for node in model.graph.node}
    if types & _RECURRENT:
        return "recurrent"
    if types & _ATTENTION or ("Softmax" in types and _multiplies_activations(model)):
        return "transformer"
    if types & {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv"}:
        return "convolutional"
    return "dense" if types & _PRODUCTS else "other"


def _multiplies_activations(model: onnx.ModelProto) -> bool:
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    return any(
        node.op_type in ("MatMul", "FusedMatMul", "Einsum") and not held & set(node.input) for node in model.graph.node
    )
