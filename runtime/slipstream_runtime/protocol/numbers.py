"""Turns JSON lists of numbers into the bytes of a tensor, exactly and in bounded memory. Pure."""

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812  # the library's name says nothing outside of it
from typing import Any

import msgspec

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError

DEEPEST = 16
"""More nested lists than any model has axes; deeper nesting is an attack on the parser."""

CODES: dict[str, tuple[str, type]] = {
    "BOOL": ("?", bool),
    "UINT8": ("B", int),
    "UINT16": ("H", int),
    "UINT32": ("I", int),
    "UINT64": ("Q", int),
    "INT8": ("b", int),
    "INT16": ("h", int),
    "INT32": ("i", int),
    "INT64": ("q", int),
    "FP32": ("f", float),
    "FP64": ("d", float),
}
"""The `struct` code of each datatype with a JSON form, and the JSON elements it is read from.

`struct` refuses what does not fit: an integer out of range, and a number that float32 cannot hold.
msgspec refuses `true`, "1.5" and null where a number belongs, and NaN, Infinity and 1e999 anywhere.
"""

CHUNK_BYTES = 1 << 16
"""JSON text that is parsed at once: the Python numbers of one chunk are all that exist at a time."""

_BLANK = b" \t\r\n"
_NUMBER = b"0123456789+-.eE" + _BLANK
_WORD = b"truefals" + _BLANK
_STRUCTURE = b"[]," + _BLANK
_FLATTEN = bytes.maketrans(b"[]", b"  ")
_DECODERS: dict[type, msgspec.json.Decoder[list[Any]]] = {
    bool: msgspec.json.Decoder(list[bool]),
    int: msgspec.json.Decoder(list[int]),
    float: msgspec.json.Decoder(list[float]),
}

OUT_OF_RANGE = (OverflowError, StructError)


@lru_cache(maxsize=1024)
def packer(datatype: str, count: int) -> Struct:
    """Return what packs `count` numbers of `datatype`, little-endian; it raises OUT_OF_RANGE where one does not fit."""
    return Struct(f"<{count}{CODES[datatype][0]}")


def list_shape(spec: TensorSpec, data: bytes) -> tuple[int, ...]:
    """Return the lengths of the nested lists in the valid JSON text `data`, after checking that they are regular.

    Without its elements the text is only brackets and commas, and those of a regular list follow from its shape.

    Raises:
        BadRequestError: it is no list, ragged, nested too deeply, or holds what cannot be an element.
    """
    skeleton = data.translate(None, _WORD if spec.datatype == "BOOL" else _NUMBER)
    depth = len(skeleton) - len(skeleton.lstrip(b"["))
    if not 1 <= depth <= DEEPEST:
        found = "no list" if depth == 0 else "too many nested lists"
        raise BadRequestError(f"input {spec.name!r}: data has {found}; send a list of at most {DEEPEST} levels")
    if skeleton.translate(None, b"[],"):
        raise BadRequestError(f"input {spec.name!r}: data: Expected `{_element(spec)}`, got {_other(spec)}")
    end = skeleton.index(b"]") + 1
    part = skeleton[depth - 1 : end]
    # Without a comma the innermost lists have one element or none, which only the elements tell.
    sizes = [len(part) - 1 if len(part) > 2 or data.translate(None, _STRUCTURE) else 0]
    for level in range(2, depth + 1):
        length = skeleton.find(b"]" * level) + level - (depth - level)
        size = max(0, length - 1) // (len(part) + 1)
        part = b"[" + ((part + b",") * size)[:-1] + b"]"
        sizes.append(size)
    if part != skeleton:
        raise BadRequestError(f"input {spec.name!r}: the nested lists differ in length")
    return tuple(reversed(sizes))


def parse_numbers(spec: TensorSpec, data: bytes, count: int) -> bytearray:
    """Return the bytes of the `count` elements, at least one, in the regular nested list `data`.

    Raises:
        BadRequestError: an element is mistyped or out of range, or lists differ in length.
    """
    buffer = bytearray(count * packer(spec.datatype, 1).size)
    step = len(buffer) // count
    filled = 0
    decoder = _DECODERS[CODES[spec.datatype][1]]
    try:
        flat = data.translate(_FLATTEN)
        for text in (flat,) if len(flat) <= CHUNK_BYTES else _chunks(flat):
            values = decoder.decode(b"[%b]" % text)
            packer(spec.datatype, len(values)).pack_into(buffer, filled, *values)
            filled += len(values) * step
    except OUT_OF_RANGE as error:
        raise BadRequestError(f"input {spec.name!r}: a number is out of range for {spec.datatype}") from error
    except msgspec.ValidationError as error:
        reason = str(error).split(" - at ")[0]  # the position would be that in the chunk
        raise BadRequestError(f"input {spec.name!r}: data: {reason}") from error
    except msgspec.DecodeError as error:  # `data` is valid JSON: only an empty list beside a full one comes to this
        raise BadRequestError(f"input {spec.name!r}: the nested lists differ in length") from error
    if filled != len(buffer):
        raise BadRequestError(f"input {spec.name!r}: the nested lists differ in length")
    return buffer


def _chunks(text: bytes) -> Iterator[bytes]:
    """Yield the pieces of a list of numbers, each cut at a comma."""
    start = 0
    while start <= len(text):
        end = text.find(b",", start + CHUNK_BYTES)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _other(spec: TensorSpec) -> str:
    return "a number, text or null" if spec.datatype == "BOOL" else "text, true, false or null"


def _element(spec: TensorSpec) -> str:
    return CODES[spec.datatype][1].__name__
