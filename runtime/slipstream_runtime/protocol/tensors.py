"""Turns one tensor of a request, JSON or binary, into a checked numpy array, and one of an answer into bytes. Pure."""

import math

import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.numbers import list_shape, parse_numbers
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Array, check_finite, check_shape
from slipstream_runtime.protocol.strings import strings_from_binary, strings_from_json, strings_to_binary


def from_json(spec: TensorSpec, shape: tuple[int, ...], data: bytes) -> Array:
    """Return the valid JSON list `data`, flat or nested, as an array of `shape`.

    Raises:
        BadRequestError: the elements are mistyped, not finite or not as many as `shape` says.
    """
    check_shape(spec, shape)
    return nested(spec, data, math.prod(shape)).reshape(shape)


def nested(spec: TensorSpec, data: bytes, wanted: int | None = None) -> Array:
    """Return the valid nested JSON list `data` as an array of its own shape, of `wanted` elements.

    Raises:
        BadRequestError: it is no regular list of the datatype's elements, or of another number than `wanted`.
    """
    dtype = NUMPY_TYPES[spec.datatype]
    if spec.datatype == BYTES:
        array = strings_from_json(spec, data)
        _check_count(spec, array.size, wanted)
        return array
    if spec.datatype == "FP16":
        raise BadRequestError(f"input {spec.name!r}: FP16 has no JSON form; send it as a binary tensor")
    shape = list_shape(spec, data)
    count = math.prod(shape)
    _check_count(spec, count, wanted)  # before the elements are read, which is what costs time and memory
    if count == 0:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, parse_numbers(spec, data, count))


def from_binary(spec: TensorSpec, shape: tuple[int, ...], raw: memoryview) -> Array:
    """Return the row-major little-endian bytes `raw` as an array of `shape`, without a copy where they are aligned.

    Raises:
        BadRequestError: the bytes are not as many as `shape` says, or not finite numbers.
    """
    check_shape(spec, shape)
    if spec.datatype == BYTES:
        return strings_from_binary(spec, raw, math.prod(shape)).reshape(shape)
    dtype = NUMPY_TYPES[spec.datatype]
    wanted = math.prod(shape) * dtype.itemsize
    if len(raw) != wanted:
        raise BadRequestError(f"input {spec.name!r}: {len(raw)} binary bytes, the shape and datatype want {wanted}")
    return checked(spec, np.frombuffer(raw, dtype=dtype).reshape(shape))


def checked(spec: TensorSpec, array: Array) -> Array:
    """Return `array`, made of bytes from outside, aligned and with only values that its datatype has.

    Raises:
        BadRequestError: a number is not finite, or a BOOL byte is neither 0 nor 1.
    """
    if not array.flags.aligned:
        array = array.copy()
    if array.dtype.kind == "f":
        check_finite(spec, array)
    elif array.dtype.kind == "b" and array.size and int(array.view(np.uint8).max()) > 1:
        raise BadRequestError(f"input {spec.name!r}: a BOOL byte must be 0 or 1")
    return array


def derived_shape(spec: TensorSpec, size: int) -> tuple[int, ...]:
    """Return the shape of `size` raw bytes for `spec`, where at most the batch axis is free.

    Raises:
        BadRequestError: another axis is free, or the bytes are no whole number of rows.
    """
    fixed = math.prod(spec.shape[1:]) * NUMPY_TYPES[spec.datatype].itemsize
    if -1 in spec.shape[1:] or not spec.shape or fixed <= 0 or spec.datatype == BYTES:
        raise BadRequestError(f"input {spec.name!r}: a body without a JSON header needs a model of fixed shape")
    if size % fixed:
        raise BadRequestError(f"input {spec.name!r}: {size} bytes are no whole number of rows of {fixed} bytes")
    return (size // fixed, *spec.shape[1:])


def to_binary(array: Array) -> bytes:
    """Return the tensor's binary form; it is one to one, so that it also serves to compare and to digest tensors."""
    return strings_to_binary(array) if array.dtype == object else array.tobytes()


def _check_count(spec: TensorSpec, count: int, wanted: int | None) -> None:
    if wanted is not None and count != wanted:
        raise BadRequestError(f"input {spec.name!r}: data has {count} elements, the shape wants another number")
