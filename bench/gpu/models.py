"""The three models of bench.build in float32, float16 and int8, with rows to run them on."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from bench.build.cases import CASES, Case
from bench.build.models.store import MODEL_FILE, UNLABELLED_FILE
from slipstream_builder.techniques.float16 import convert_float16
from slipstream_builder.techniques.optimize import optimize
from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.signature import Signature

Rows = dict[str, NDArray[Any]]
FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
CALIBRATION_ROWS = 128
_TYPES: dict[int, str] = {onnx.TensorProto.FLOAT: "FP32", onnx.TensorProto.INT64: "INT64"}


@dataclass(frozen=True)
class Subject:
    """One model: its bytes by precision, what it takes and gives, and unlabelled rows by input name."""

    name: str
    models: dict[str, bytes]
    signature: Signature
    rows: Rows


def subjects() -> Iterator[Subject]:
    """Yield the models, each made first where it is missing.

    Raises:
        BenchError: one cannot be made.
    """
    for case in CASES:
        yield _subject(case)


def prepared(name: str, source: onnx.ModelProto, rows: Rows) -> Subject:
    """Return `source` in all precisions; free axes besides the batch are fixed at the size they have in `rows`."""
    _fix_axes(source, rows)
    plain = optimize(source)
    models = {FLOAT32: plain.SerializeToString(), FLOAT16: convert_float16(plain).SerializeToString()}
    models[INT8] = _quantized(plain, rows)
    graph = plain.graph
    return Subject(name, models, Signature(_specs(graph.input), _specs(graph.output)), rows)


def _subject(case: Case) -> Subject:
    folder = case.folder()
    source = onnx.load(folder / MODEL_FILE)
    with np.load(folder / UNLABELLED_FILE) as arrays:
        rows = {value.name: arrays[value.name] for value in source.graph.input}
    return prepared(case.name, source, rows)


def _fix_axes(model: onnx.ModelProto, rows: Rows) -> None:
    for value in model.graph.input:
        for axis, size in enumerate(rows[value.name].shape):
            if axis:
                value.type.tensor_type.shape.dim[axis].dim_value = size


def _specs(values: Any) -> tuple[TensorSpec, ...]:
    return tuple(_spec(value) for value in values)


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    return TensorSpec(value.name, _TYPES[tensor.elem_type], (-1, *sizes[1:]))


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Hands the first rows out, one by one."""

    def __init__(self, rows: Rows) -> None:
        self._left = iter(range(min(CALIBRATION_ROWS, len(next(iter(rows.values()))))))
        self._rows = rows

    def get_next(self) -> Rows | None:
        """Return the next row, or None after the last."""
        place = next(self._left, None)
        return None if place is None else {name: array[place : place + 1] for name, array in self._rows.items()}


def _quantized(model: onnx.ModelProto, rows: Rows) -> bytes:
    """Return `model` with QuantizeLinear and DequantizeLinear pairs, symmetric, as TensorRT reads them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Reader(rows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
        )
        return path.read_bytes()
