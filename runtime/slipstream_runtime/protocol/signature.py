"""What the model takes and gives, prepared for checking requests against it. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError

Array = NDArray[Any]
Tensors = tuple[Array, ...]
"""One array for each input (or output) of the model, in the manifest's order."""

BYTES = "BYTES"

NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    BYTES: np.dtype(object),
}
"""The datatypes of the Open Inference Protocol that are served, all little-endian on the wire.

BYTES are arrays of Python strings. BF16 is missing: ONNX Runtime's arrays have no such type.
"""


@dataclass(frozen=True)
class Signature:
    """The model's inputs and outputs."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @cached_property
    def batched(self) -> bool:
        """Whether the first axis of every tensor is a free batch axis, so that requests can share a run."""
        return all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))

    @cached_property
    def bucketed(self) -> bool:
        """Whether inputs have free axes besides the batch, so that only requests of equal shape share a run."""
        return any(-1 in spec.shape[1:] for spec in self.inputs)

    @cached_property
    def input_index(self) -> dict[str, int]:
        """The position of each input by name."""
        return {spec.name: i for i, spec in enumerate(self.inputs)}

    @cached_property
    def output_index(self) -> dict[str, int]:
        """The position of each output by name."""
        return {spec.name: i for i, spec in enumerate(self.outputs)}

    def rows(self, tensors: Tensors) -> int:
        """Return how many rows `tensors` hold; one for a model without a batch axis.

        Raises:
            BadRequestError: the inputs disagree, or there are none.
        """
        if not self.batched:
            return 1
        rows = int(tensors[0].shape[0])
        if len(tensors) > 1 and any(tensor.shape[0] != rows for tensor in tensors):
            raise BadRequestError("inputs: the first axis is the batch and must be equal in all inputs")
        if rows == 0:
            raise BadRequestError("inputs: there are no rows; send at least one")
        return rows

    def bucket(self, tensors: Tensors) -> tuple[tuple[int, ...], ...]:
        """Return the shape key that requests must share to run together."""
        return tuple(tensor.shape[1:] for tensor in tensors) if self.bucketed else ()


def check_shape(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    """Raise BadRequestError unless `shape` fits `spec`."""
    fits = len(shape) == len(spec.shape) and all(
        size >= 0 and wanted in (size, -1) for size, wanted in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise BadRequestError(f"input {spec.name!r}: shape {_short(shape)} does not fit {list(spec.shape)}")


def check_finite(spec: TensorSpec, array: Array) -> None:
    """Raise BadRequestError when `array` holds a NaN or an infinity."""
    # A zero byte among the booleans is looked for in a third of the time that .all() takes on a small array.
    if array.dtype.kind == "f" and b"\0" in np.isfinite(array).tobytes():
        raise BadRequestError(f"input {spec.name!r}: holds NaN or an infinite number; send finite numbers")


def _short(shape: tuple[int, ...]) -> str:
    text = str(list(shape))
    return text if len(text) <= 80 else f"of {len(shape)} axes"
