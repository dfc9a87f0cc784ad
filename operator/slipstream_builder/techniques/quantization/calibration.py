"""Calibration: the range of every activation, from rows that flow through the float model in small pieces.

ONNX Runtime's histogram calibrators hold every activation of all the rows they are given before they count; given one
piece after the other, they merge its histogram into the last and hold no more than a piece.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization.calibrate import create_calibrator

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.configs import Calibration
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.quantization.quiet import quiet

CALIBRATION_ROWS = {"MinMax": 512, "Percentile": 256, "Entropy": 256}

_METHODS = {
    "MinMax": quantization.CalibrationMethod.MinMax,
    "Percentile": quantization.CalibrationMethod.Percentile,
    "Entropy": quantization.CalibrationMethod.Entropy,
}
# Rows in flight at once: MinMax reduces within the graph, the histograms hold all the activations of a piece.
_PIECES = {"MinMax": 16, "Percentile": 8, "Entropy": 8}

Ranges = Any
"""An onnxruntime.quantization TensorsData; the library has no types."""


def calibrate(
    model: onnx.ModelProto,
    method: Calibration,
    kinds: list[str],
    context: TechniqueContext,
    report: Callable[[float], None],
) -> Ranges:
    """Return the range of every tensor beside a node of `kinds`, over at most 512 rows, 256 for histograms."""
    rows = chosen(context.unlabelled, model, CALIBRATION_ROWS[method])
    size = _PIECES[method]
    starts = range(0, count(rows), size)
    with tempfile.TemporaryDirectory(prefix="slipstream-") as folder:
        source, augmented = Path(folder) / "float.onnx", Path(folder) / "augmented.onnx"
        onnx.save_model(model, source)
        with quiet():
            calibrator = create_calibrator(source, kinds, str(augmented), _METHODS[method])
        calibrator.infer_session = _session(augmented, context.threads)
        for start in starts:
            with quiet():
                calibrator.collect_data(_Piece(take(rows, slice(start, start + size))))
            report(min(1.0, (start + size) / starts.stop))
        with quiet():
            return calibrator.compute_data()


def chosen(rows: Rows, model: onnx.ModelProto, most: int) -> dict[str, Array]:
    """Return what `model` reads of at most `most` rows, spread evenly over those there are."""
    total = count(rows)
    items = np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))
    return take({value.name: rows[value.name] for value in graphs.data_inputs(model.graph)}, items)


class _Piece(quantization.CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Feeds one batch."""

    def __init__(self, rows: Rows) -> None:
        self._batches: Iterator[Rows] = iter([rows])

    def get_next(self) -> Rows | None:
        """Return the batch, and None from then on."""
        return next(self._batches, None)


def _session(model: Path, threads: int) -> Any:
    """Return a session that computes what stands in the file, node by node, on `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
