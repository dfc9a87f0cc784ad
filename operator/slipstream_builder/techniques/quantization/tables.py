"""Embedding tables in int8: every row keeps its own scale, and only the rows looked up become float again."""

import numpy as np
import onnx

from slipstream_builder.arrays import Array
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.quantization.editing import Editor

LEAST_VALUES = 1 << 14


def with_int8_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with every float32 table of at least 16,384 values that only Gathers read, in int8 per row.

    Reads of the table along another axis than the first leave it in float.
    """
    editor = Editor(model)
    tables = _tables(editor.model.graph, editor.constants)
    quantized: dict[str, tuple[str, str]] = {}
    for node in editor.model.graph.node:
        if node.op_type != "Gather" or node.input[0] not in tables:
            editor.keep(node)
            continue
        name = node.input[0]
        if name not in quantized:
            values, scales = _by_row(editor.constants[name])
            quantized[name] = editor.constant(values, f"{name}/int8"), editor.constant(scales, f"{name}/scales")
        rows, scales_read = (editor.add("Gather", [part, node.input[1]]) for part in quantized[name])
        as_float = editor.add("Cast", [rows], to=onnx.TensorProto.FLOAT)
        editor.add("Mul", [as_float, scales_read], node.output[0])
    return editor.finish()


def _tables(graph: onnx.GraphProto, constants: dict[str, Array]) -> set[str]:
    looked_up = [
        node.input[0] for node in graph.node if node.op_type == "Gather" and not graphs.attributes(node).get("axis")
    ]
    read = graphs.consumers(graph)
    return {
        name
        for name in looked_up
        if name in constants and _is_table(constants[name]) and looked_up.count(name) == read[name]
    }


def _is_table(array: Array) -> bool:
    return array.dtype == np.float32 and array.ndim == 2 and array.size >= LEAST_VALUES


def _by_row(table: Array) -> tuple[Array, Array]:
    """Return the values in int8 and the scales [rows, 1], symmetric about zero; an empty row gets scale 1."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.clip(np.rint(table / scales), -127, 127).astype(np.int8), scales
