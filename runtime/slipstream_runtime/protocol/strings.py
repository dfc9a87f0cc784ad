"""BYTES tensors: arrays of Python strings, as ONNX Runtime takes them; read from JSON and from bytes. Pure."""

import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.numbers import DEEPEST
from slipstream_runtime.protocol.signature import Array

MAX_STRINGS = 1 << 16
"""Strings in one tensor: each costs some 60 bytes more than it has on the wire."""

_LENGTH = struct.Struct("<I")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def strings_from_json(spec: TensorSpec, data: bytes) -> Array:
    """Return the nested list of strings in the valid JSON text `data` as an array of its own shape.

    Raises:
        BadRequestError: it is no list, ragged, too long, or an element is no string.
    """
    if data.count(b",") >= MAX_STRINGS and sum(1 for _ in _STRING.finditer(data)) > MAX_STRINGS:
        raise _too_many(spec)
    try:
        values = _decoder(_depth(spec, data)).decode(data)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"input {spec.name!r}: data: {error}") from error
    shape = _shape(values)
    flat: list[Any] = values
    for size in shape[1:]:
        if any(len(part) != size for part in flat):
            raise BadRequestError(f"input {spec.name!r}: the nested lists differ in length")
        flat = [item for part in flat for item in part]
    return _array(flat).reshape(shape)


def strings_from_binary(spec: TensorSpec, raw: memoryview, count: int) -> Array:
    """Return the `count` strings in `raw`, each after its length as four little-endian bytes.

    Raises:
        BadRequestError: a length lies, the count is wrong, or a string is not UTF-8.
    """
    if count > MAX_STRINGS:
        raise _too_many(spec)
    values: list[str] = []
    offset = 0
    while offset < len(raw) and len(values) < count:
        begin = offset + _LENGTH.size
        if begin > len(raw):
            raise BadRequestError(f"input {spec.name!r}: the binary bytes end within a string's length")
        offset = begin + _LENGTH.unpack_from(raw, offset)[0]
        if offset > len(raw):
            raise BadRequestError(f"input {spec.name!r}: a string's length is past the end of the tensor")
        values.append(_text(spec, raw[begin:offset]))
    if len(values) != count or offset != len(raw):
        raise BadRequestError(f"input {spec.name!r}: the binary bytes hold other than the {count} strings of its shape")
    return _array(values)


def strings_from_list(spec: TensorSpec, values: Sequence[bytes]) -> Array:
    """Return the strings `values` as a flat array.

    Raises:
        BadRequestError: they are too many, or one is not UTF-8.
    """
    if len(values) > MAX_STRINGS:
        raise _too_many(spec)
    return _array([_text(spec, memoryview(value)) for value in values])


def strings_to_binary(array: Array) -> bytes:
    """Return the strings of `array`, row-major, each after its length as four little-endian bytes."""
    parts: list[bytes] = []
    for text in array.ravel().tolist():
        raw = text.encode() if isinstance(text, str) else bytes(text)
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def _array(values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _text(spec: TensorSpec, raw: memoryview) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(f"input {spec.name!r}: a string is not UTF-8, which is all that ONNX holds") from error


def _shape(values: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return tuple(shape)


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


def _too_many(spec: TensorSpec) -> BadRequestError:
    return BadRequestError(f"input {spec.name!r}: more than {MAX_STRINGS} strings; send fewer rows a request")


@lru_cache(maxsize=DEEPEST)
def _decoder(depth: int) -> msgspec.json.Decoder[Any]:
    wanted: Any = str
    for _ in range(depth):
        wanted = list[wanted]
    return msgspec.json.Decoder(wanted)
