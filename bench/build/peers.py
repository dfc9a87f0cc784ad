"""ONNX Runtime's own quantisation with its defaults: what its documentation tells a user to run."""

import contextlib
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from slipstream_builder.arrays import Array, Rows, count, take

CALIBRATION_ROWS = 512
_BATCH = 32


@dataclass(frozen=True)
class Peer:
    """What another tool made of the source model: an ONNX model, or None and the reason in words."""

    name: str
    model: bytes | None
    reason: str = ""


def dynamic(source: Path) -> Peer:
    """Return `quantize_dynamic(prepared, ...)` with all defaults."""
    return _made("onnxruntime dynamic", source, quantization.quantize_dynamic)


def static(source: Path, unlabelled: Rows) -> Peer:
    """Return `quantize_static(prepared, ..., reader)` with all defaults, calibrated on at most 512 unlabelled rows."""

    def quantize(prepared: Path, target: Path) -> None:
        quantization.quantize_static(prepared, target, _Reader(unlabelled))

    return _made("onnxruntime static", source, quantize)


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, rows: Rows) -> None:
        rows = take(rows, slice(0, CALIBRATION_ROWS))
        starts = range(0, count(rows), _BATCH)
        self._batches = iter([take(rows, slice(start, start + _BATCH)) for start in starts])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


def _made(name: str, source: Path, quantize: Callable[[Path, Path], Any]) -> Peer:
    former = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        # The quantisers leave scratch files in the folder they run in.
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            prepared, target = Path(folder) / "prepared.onnx", Path(folder) / "quantized.onnx"
            _prepare(source, prepared)
            quantize(prepared, target)
            return Peer(name, target.read_bytes())
    except Exception as error:  # noqa: BLE001  # whatever it raises is the peer's result
        return Peer(name, None, f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
    finally:
        logging.disable(former)


def _prepare(source: Path, prepared: Path) -> None:
    """Run the documented preparation; where its symbolic shapes cannot be found, without them, as it then advises."""
    try:
        quant_pre_process(source, prepared)
    except Exception:  # noqa: BLE001  # it raises bare Exception
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
