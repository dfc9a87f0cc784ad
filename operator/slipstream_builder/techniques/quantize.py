"""Int8 by ONNX Runtime's own quantisers, with the settings that keep accuracy and get int8 kernels at run time.

Static: QDQ form, weights int8 per output channel, activations uint8 with a zero point: what a Relu or a normalised
history leaves is never negative, and gets all 256 levels so. The results of Gemms stay in float32: a hidden result
meets its activation function in float anyway and is quantised after it, and the final scores keep their order (256
levels over a whole catalogue would make ties of the best ten).
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from slipstream_builder.arrays import Array, Rows, count
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.configs import QuantizeStatic
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.gemms import with_gemms
from slipstream_builder.techniques.optimize import optimize

CALIBRATION_ROWS = 512
CALIBRATION_BATCH = 64
PRODUCTS = ("Gemm", "MatMul")

_METHODS = {
    "MinMax": quantization.CalibrationMethod.MinMax,
    "Percentile": quantization.CalibrationMethod.Percentile,
    "Entropy": quantization.CalibrationMethod.Entropy,
}


def quantize_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with int8 weights per channel, and activations quantised by the batch at run time.

    Raises:
        TechniqueError: ONNX Runtime cannot quantise it.
    """

    def run(source: Path, target: Path) -> None:
        quantization.quantize_dynamic(source, target, per_channel=True, weight_type=quantization.QuantType.QInt8)

    return _quantized(model, run)


def quantize_static(technique: QuantizeStatic, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` in int8 QDQ form, calibrated on at most 512 of the unlabelled rows.

    Raises:
        TechniqueError: ONNX Runtime cannot quantise it.
    """
    context.report(0.0, f"calibrating ({technique.calibration})")

    def run(source: Path, target: Path) -> None:
        quantization.quantize_static(
            source,
            target,
            CalibrationRows(context.unlabelled, [value.name for value in graphs.data_inputs(model.graph)]),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_quantized_types(model),
            per_channel=True,
            reduce_range=technique.reduce_range,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=_METHODS[technique.calibration],
            nodes_to_exclude=_products_of_activations(source),
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )

    quantized = _quantized(model, run)
    context.report(1.0, "quantised to int8")
    return quantized


class CalibrationRows(quantization.CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Feeds up to 512 rows, 64 at a time, spread evenly over those there are."""

    def __init__(self, rows: Rows, names: list[str]) -> None:
        total = count(rows)
        chosen = np.unique(np.linspace(0, total - 1, min(total, CALIBRATION_ROWS)).astype(np.int64))
        parts = [chosen[start : start + CALIBRATION_BATCH] for start in range(0, len(chosen), CALIBRATION_BATCH)]
        self._batches = iter([{name: rows[name][part] for name in names} for part in parts])

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch, or None after the last."""
        return next(self._batches, None)


def _quantized(model: onnx.ModelProto, run: Callable[[Path, Path], None]) -> onnx.ModelProto:
    """Run a quantiser, which reads and writes files, on the prepared model."""
    try:
        with tempfile.TemporaryDirectory(prefix="slipstream-") as folder, _quiet():
            source, prepared, target = (Path(folder) / name for name in ("in.onnx", "prepared.onnx", "out.onnx"))
            onnx.save_model(with_gemms(optimize(model)), source)
            quant_pre_process(source, prepared, skip_symbolic_shape=True, skip_optimization=True)
            run(prepared, target)
            return _without_shapes(onnx.load_model(target))
    except TechniqueError:
        raise
    except Exception as error:
        raise TechniqueError(f"ONNX Runtime cannot quantise the model: {error}") from error


def _without_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` without inner shapes, which the runtime infers again, and which only cost bytes."""
    del model.graph.value_info[:]
    return model


def _quantized_types(model: onnx.ModelProto) -> list[str]:
    """Only products, unless there are convolutions: then their neighbours too, so that int8 tensors pass between."""
    if any(node.op_type == "Conv" for node in model.graph.node):
        return [*PRODUCTS, "Conv", "Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Relu", "Reshape"]
    return list(PRODUCTS)


def _products_of_activations(source: Path) -> list[str]:
    """Return the MatMuls without constant weights (attention): int8 costs them more accuracy than it saves time."""
    graph = onnx.load_model(source).graph
    held = graphs.constants(graph)
    return [node.name for node in graph.node if node.op_type == "MatMul" and not held.keys() & set(node.input)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to itself: it logs at warning level that shapes were not inferred."""
    former = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(former)
