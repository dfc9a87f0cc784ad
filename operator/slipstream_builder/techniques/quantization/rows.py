"""Int8 products whose activations are quantised row by row, at run time.

Every row of a tensor (the values along its last axis) gets its own scale, from its own largest magnitude, so that
rows cannot influence each other and nothing has to be calibrated. With x = a q, a the row's scale and q uint8 with the
fixed zero point 128, and w = b v, b the column's scale and v int8, the product is x w = a b ((q - 128) v): one integer
product (ONNX Runtime's MatMulIntegerToFloat, which applies b), then one multiplication by a.

What was measured (AVX512-VNNI, one thread): uint8 by int8 runs more than ten times faster than int8 by int8, and
one QuantizeLinear of scale 1 after the multiplication by 1/a faster than Round, Clip and Cast.
"""

import numpy as np
import onnx

from slipstream_builder.arrays import Array
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.configs import QuantizeRows
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.editing import MICROSOFT, Editor
from slipstream_builder.techniques.quantization.products import weights_of, with_matmuls
from slipstream_builder.techniques.quantization.tables import with_int8_tables

LEAST_COLUMNS = 16
_NEVER_NEGATIVE = ("Relu", "Sigmoid", "Softmax")
_AXES_ARE_AN_INPUT = 18


def quantize_rows(technique: QuantizeRows, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with int8 weights per output channel, activations quantised by the row, and int8 tables.

    Products of fewer than 16 columns stay in float: quantising their inputs costs more than int8 saves.

    Raises:
        TechniqueError: no product by constant weights is large enough.
    """
    editor = Editor(with_int8_tables(with_matmuls(optimize(model))))
    rows = _RowQuantizer(editor)
    found = False
    for node in editor.model.graph.node:
        weights = weights_of(node, editor.constants)
        if weights is None or weights.shape[1] < LEAST_COLUMNS:
            editor.keep(node)
        else:
            rows.replace(node, weights, 63 if technique.reduce_range else 127)
            found = True
    if not found:
        raise TechniqueError("no product by constant float32 weights with 16 columns or more: nothing for int8 by row")
    return editor.finish()


class _RowQuantizer:
    """Replaces products; a tensor that several of them read is quantised once, a matrix that they share kept once."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._opset = graphs.opset(editor.model)
        self._unsigned = {
            node.output[0] for node in editor.model.graph.node if node.op_type in _NEVER_NEGATIVE and not node.domain
        }
        self._shared: dict[str, str] = {}
        self._rows: dict[str, tuple[str, str]] = {}
        self._matrices: dict[str, tuple[str, str]] = {}

    def replace(self, node: onnx.NodeProto, weights: Array, largest: int) -> None:
        """Append the int8 form of `node`, a MatMul by `weights`, whose int8 values reach up to `largest`."""
        source = node.input[0]
        if source not in self._rows:
            self._rows[source] = self._quantized(source)
        if node.input[1] not in self._matrices:
            values, scales = _by_column(weights, largest)
            self._matrices[node.input[1]] = (
                self._editor.constant(values, f"{node.input[1]}/int8"),
                self._editor.constant(scales, f"{node.input[1]}/scales"),
            )
        (quantized, row_scale), (values_name, scales_name) = self._rows[source], self._matrices[node.input[1]]
        product = self._editor.add(
            "MatMulIntegerToFloat",
            [quantized, values_name, self._float(1.0), scales_name, self._zero_point(source)],
            domain=MICROSOFT,
        )
        self._editor.add("Mul", [product, row_scale], node.output[0])

    def _quantized(self, source: str) -> tuple[str, str]:
        """Append the quantisation of tensor `source` by its rows; return the names of the integers and the scales."""
        add, levels = self._editor.add, 255.0 if source in self._unsigned else 127.0
        magnitude = source if source in self._unsigned else add("Abs", [source])
        largest = self._largest(magnitude)
        # A row of zeros has no magnitude to divide by; the smallest normal float keeps the quotient finite.
        divisor = add("Max", [largest, self._float(float(np.finfo(np.float32).tiny) * 256)])
        scale = add("Mul", [divisor, self._float(1 / levels)])
        spread = add("Mul", [source, add("Div", [self._float(levels), divisor])])
        return add("QuantizeLinear", [spread, self._float(1.0), self._zero_point(source)]), scale

    def _largest(self, magnitude: str) -> str:
        if self._opset >= _AXES_ARE_AN_INPUT:
            axes = self._constant(np.array([-1], np.int64), "rows/axis")
            return self._editor.add("ReduceMax", [magnitude, axes], keepdims=1)
        return self._editor.add("ReduceMax", [magnitude], axes=[-1], keepdims=1)

    def _zero_point(self, source: str) -> str:
        value = 0 if source in self._unsigned else 128
        return self._constant(np.array(value, np.uint8), f"rows/zero_point_{value}")

    def _float(self, value: float) -> str:
        return self._constant(np.array(value, np.float32), f"rows/float_{value:.6g}")

    def _constant(self, array: Array, hint: str) -> str:
        if hint not in self._shared:
            self._shared[hint] = self._editor.constant(array, hint)
        return self._shared[hint]


def _by_column(weights: Array, largest: int) -> tuple[Array, Array]:
    """Return `weights` [inputs, outputs] in int8 and the scales [outputs], symmetric; an empty column gets scale 1."""
    reach = np.abs(weights).max(axis=0)
    scales = np.where(reach > 0, reach / largest, 1).astype(np.float32)
    return np.clip(np.rint(weights / scales), -largest, largest).astype(np.int8), scales
