"""ONNX Runtime sessions as a serving replica will have them, and their inputs and outputs in the contract's words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Accelerator

Session = Any
"""An onnxruntime.InferenceSession; the library ships no types."""

_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}
DTYPES: dict[str, tuple[str, type[np.generic]]] = {
    "tensor(float)": ("FP32", np.float32),
    "tensor(float16)": ("FP16", np.float16),
    "tensor(double)": ("FP64", np.float64),
    "tensor(int8)": ("INT8", np.int8),
    "tensor(int16)": ("INT16", np.int16),
    "tensor(int32)": ("INT32", np.int32),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(uint8)": ("UINT8", np.uint8),
    "tensor(uint16)": ("UINT16", np.uint16),
    "tensor(uint32)": ("UINT32", np.uint32),
    "tensor(uint64)": ("UINT64", np.uint64),
    "tensor(bool)": ("BOOL", np.bool_),
}
_NUMPY = dict(DTYPES.values())


def available(accelerator: Accelerator) -> bool:
    """Return whether this machine's ONNX Runtime can run on `accelerator`."""
    return _PROVIDERS[accelerator][0] in ort.get_available_providers()


def open_session(
    model: bytes | Path, threads: int, accelerator: Accelerator = "cpu", profile: Path | None = None
) -> Session:
    """Return a session with `threads` intra-op threads that do not spin while they wait.

    With `profile`, ONNX Runtime writes what every operator took to a file whose name starts so.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return ort.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=_PROVIDERS[accelerator]
    )


def input_specs(session: Session) -> tuple[TensorSpec, ...]:
    """Return the session's inputs.

    Raises:
        KeyError: an input is no tensor of numbers; the key is its ONNX type.
    """
    return tuple(_spec(item) for item in session.get_inputs())


def output_specs(session: Session) -> tuple[TensorSpec, ...]:
    """Return the session's outputs.

    Raises:
        KeyError: an output is no tensor of numbers; the key is its ONNX type.
    """
    return tuple(_spec(item) for item in session.get_outputs())


def numpy_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """Return the numpy dtype of a tensor's Open Inference Protocol datatype."""
    return np.dtype(_NUMPY[spec.datatype])


def run(session: Session, rows: Rows) -> list[Array]:
    """Return the session's outputs, in its order, for one batch."""
    outputs: list[Array] = session.run(None, dict(rows))
    return outputs


def run_in_batches(session: Session, rows: Rows, batch: int) -> Iterator[tuple[slice, Array]]:
    """Yield the first output for successive batches of `rows`, each with the slice of items it belongs to."""
    first = session.get_outputs()[0].name
    for start in range(0, count(rows), batch):
        part = slice(start, min(start + batch, count(rows)))
        yield part, session.run([first], take(rows, part))[0]


def _spec(item: Any) -> TensorSpec:
    datatype = DTYPES[item.type][0]
    return TensorSpec(item.name, datatype, tuple(size if isinstance(size, int) else -1 for size in item.shape))
