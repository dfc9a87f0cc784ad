"""Turns one tensor of a request, JSON or binary, into a checked numpy array. Pure."""

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Array, check_finite, check_shape

DEEPEST = 16
"""More nested lists than any model has axes; deeper nesting is an attack on the parser."""

ELEMENTS: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float}
"""The JSON element type by numpy kind; msgspec then refuses `true` and "1.5" where a number belongs."""


def from_json(spec: TensorSpec, shape: tuple[int, ...], data: bytes) -> Array:
    """Return the JSON list `data`, flat or nested, as an array of `shape`.

    Raises:
        BadRequestError: the elements are mistyped, not finite or not as many as `shape` says.
    """
    check_shape(spec, shape)
    array = nested(spec, data)
    if array.size != math.prod(shape):
        raise BadRequestError(f"input {spec.name!r}: data has {array.size} elements, the shape wants another number")
    array = array.reshape(shape)
    check_finite(spec, array)
    return array


def nested(spec: TensorSpec, data: bytes) -> Array:
    """Return the nested JSON list `data` as an array of its own shape, typed but otherwise unchecked."""
    dtype = NUMPY_TYPES[spec.datatype]
    if spec.datatype == "FP16":
        raise BadRequestError(f"input {spec.name!r}: FP16 has no JSON form; send it as a binary tensor")
    try:
        values = _decoder(ELEMENTS[dtype.kind], _depth(spec, data)).decode(data)
        return _array(values, dtype)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"input {spec.name!r}: data: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequestError(f"input {spec.name!r}: data is not a JSON list") from error
    except OverflowError as error:
        raise BadRequestError(f"input {spec.name!r}: a number is out of range for {spec.datatype}") from error
    except ValueError as error:
        raise BadRequestError(f"input {spec.name!r}: the nested lists differ in length") from error


def from_binary(spec: TensorSpec, shape: tuple[int, ...], raw: memoryview) -> Array:
    """Return the row-major little-endian bytes `raw` as an array of `shape`, without a copy.

    Raises:
        BadRequestError: the bytes are not as many as `shape` says, or not finite numbers.
    """
    check_shape(spec, shape)
    dtype = NUMPY_TYPES[spec.datatype]
    wanted = math.prod(shape) * dtype.itemsize
    if len(raw) != wanted:
        raise BadRequestError(f"input {spec.name!r}: {len(raw)} binary bytes, the shape and datatype want {wanted}")
    if dtype.kind == "b":
        return _booleans(spec, raw).reshape(shape)
    array = np.frombuffer(raw, dtype=dtype).reshape(shape)
    check_finite(spec, array)
    return array


def derived_shape(spec: TensorSpec, size: int) -> tuple[int, ...]:
    """Return the shape of `size` raw bytes for `spec`, where at most the batch axis is free.

    Raises:
        BadRequestError: another axis is free, or the bytes are no whole number of rows.
    """
    fixed = math.prod(spec.shape[1:]) * NUMPY_TYPES[spec.datatype].itemsize
    if -1 in spec.shape[1:] or not spec.shape or fixed <= 0:
        raise BadRequestError(f"input {spec.name!r}: a body without a JSON header needs a model of fixed shape")
    if size % fixed:
        raise BadRequestError(f"input {spec.name!r}: {size} bytes are no whole number of rows of {fixed} bytes")
    return (size // fixed, *spec.shape[1:])


def _booleans(spec: TensorSpec, raw: memoryview) -> Array:
    values = np.frombuffer(raw, dtype=np.uint8)
    if values.size and int(values.max()) > 1:
        raise BadRequestError(f"input {spec.name!r}: a BOOL byte must be 0 or 1")
    return values.view(np.bool_)


def _array(values: Any, dtype: np.dtype[Any]) -> Array:
    if dtype == np.float32:
        # Through float64, so that a number too large for float32 becomes inf and is refused like one.
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float64).astype(np.float32)
    return np.array(values, dtype=dtype)


def _depth(spec: TensorSpec, data: bytes) -> int:
    """Count the opening brackets, so that the decoder can be typed all the way down."""
    depth = 0
    for byte in data[: 8 * DEEPEST]:
        if byte == ord("["):
            depth += 1
        elif byte not in b" \t\r\n":
            break
    if not 1 <= depth <= DEEPEST:
        found = "no list" if depth == 0 else "too many nested lists"
        raise BadRequestError(f"input {spec.name!r}: data has {found}; send a list of at most {DEEPEST} levels")
    return depth


@lru_cache(maxsize=len(ELEMENTS) * DEEPEST)
def _decoder(element: type, depth: int) -> msgspec.json.Decoder[Any]:
    wanted: Any = element
    for _ in range(depth):
        wanted = list[wanted]
    return msgspec.json.Decoder(wanted)
