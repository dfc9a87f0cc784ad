"""Reads `.safetensors`: eight bytes of header length, a header of JSON, then the tensors one after another."""

import struct

import numpy as np
import safetensors

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import limits

_MAX_HEADER = 1 << 20
_PREFIX = 8
_DTYPES: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_BFLOAT = "BF16"


def recognise(data: bytes) -> bool:
    """Return whether `data` begins like a .safetensors file."""
    return len(data) > _PREFIX and data[_PREFIX : _PREFIX + 1] == b"{"


def read(data: bytes, what: str, max_bytes: int) -> dict[str, Array]:
    """Return the tensors in the .safetensors `data` by name; bfloat16 becomes float32, which holds all its values.

    Raises:
        ValidationError: it is broken, of a type that numpy has not, or takes more than `max_bytes`.
    """
    (length,) = struct.unpack("<Q", data[:_PREFIX])
    if length > min(_MAX_HEADER, len(data) - _PREFIX):
        raise ValidationError(
            f"{what}: not a readable .safetensors (its header claims {length} bytes); "
            "write it with safetensors.numpy.save_file"
        )
    limits.check_bytes(len(data), what, max_bytes)
    try:
        found = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValidationError(
            f"{what}: not a readable .safetensors ({limits.line(error)}); write it with safetensors.numpy.save_file"
        ) from error
    limits.check_names([name for name, _ in found], what)
    return {name: _array(name, tensor["dtype"], tensor["shape"], tensor["data"], what) for name, tensor in found}


def _array(name: str, dtype: str, shape: list[int], content: bytearray, what: str) -> Array:
    if dtype == _BFLOAT:
        wide = np.frombuffer(content, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise ValidationError(f"{what}: array {name!r} is {dtype}; save it as one of {', '.join(_DTYPES)}")
    return np.frombuffer(content, _DTYPES[dtype]).reshape(shape)
