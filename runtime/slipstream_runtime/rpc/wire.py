"""The few lines of protobuf's wire format that are read and written by hand. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slipstream_runtime.errors import BadRequestError

MAX_PARTS = 4096
"""Inputs, outputs, parameters and tensors of one message; far more than any model takes."""

MAX_SINGLES = 65_536
"""Strings of one message's typed contents, or numbers that are fields of their own; as many strings as over HTTP."""

MAX_NUMBERS = 1 << 20
"""Whole numbers of one message's typed contents, which have one byte each if small and are parsed into eight."""

LONGEST_SHAPE = 1024
"""Bytes of a shape: no model has that many axes."""

_DELIMITED = 2
_FIXED = {1: 8, 5: 4}
_INPUTS, _OUTPUTS = 5, 6
"""Fields of ModelInferRequest."""
_SHAPE, _CONTENTS = 3, 5
"""Fields of InferInputTensor."""
_VARINTS = frozenset({2, 3, 4, 5})
_STRINGS = 8
"""Fields of InferTensorContents."""
_FEW = 4096


def varint(number: int) -> bytes:
    """Return `number` in groups of seven bits."""
    if number < 0x80:
        return bytes((number,))
    out = []
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(field: int, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the parts of one field of bytes: its tag, its length, itself."""
    return bytes((field << 3 | _DELIMITED,)), varint(len(content)), content


def bounded(content: bytes) -> None:
    """Raise BadRequestError when parsing a message would take far more memory than itself.

    An empty part costs its sender two bytes and the parser a hundred, a small number one byte and eight or sixteen.
    """
    view, counted = memoryview(content), _Counted()
    for number, kind, start, end in _fields(view):
        counted.parts()
        if kind == _DELIMITED and number in {_INPUTS, _OUTPUTS}:
            for inner, inner_kind, inner_start, inner_end in _fields(view[start:end]):
                counted.parts()
                if number == _INPUTS and inner_kind == _DELIMITED:
                    _bounded_tensor(inner, view[start + inner_start : start + inner_end], counted)


@dataclass
class _Counted:
    """What was found in a message so far."""

    _parts: int = 0
    _singles: int = 0
    _numbers: int = 0

    def parts(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequestError(
                f"message: has more than {MAX_PARTS} inputs, outputs, parameters and tensors; send fewer"
            )

    def singles(self) -> None:
        self._singles += 1
        if self._singles > MAX_SINGLES:
            raise BadRequestError(
                f"contents: more than {MAX_SINGLES} strings, or numbers that are not packed; send raw_input_contents"
            )

    def numbers(self, packed: memoryview) -> None:
        # No more numbers than bytes, so that short ones need no counting.
        ends = len(packed) if len(packed) <= _FEW else np.count_nonzero(np.frombuffer(packed, np.uint8) < 0x80)
        self._numbers += int(ends)
        if self._numbers > MAX_NUMBERS:
            raise BadRequestError(f"contents: more than {MAX_NUMBERS} whole numbers; send raw_input_contents")


def _bounded_tensor(number: int, content: memoryview, counted: _Counted) -> None:
    """Look into the shape or the contents of an input."""
    if number == _SHAPE and len(content) > LONGEST_SHAPE:
        raise BadRequestError("inputs: a shape has too many axes")
    if number == _CONTENTS:
        for inner, kind, start, end in _fields(content):
            if kind == _DELIMITED and inner in _VARINTS:
                counted.numbers(content[start:end])
            elif kind != _DELIMITED or inner == _STRINGS:
                counted.singles()
            else:
                counted.parts()


def _fields(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of one message: yield each one's number and wire type, and where its content lies.

    What is no message is left for the parser to refuse.
    """
    position, end = 0, len(view)
    while position < end:
        tag, position = _read_varint(view, position)
        kind = tag & 7
        size = _FIXED.get(kind, 0)
        if kind in {0, _DELIMITED}:
            size, position = _read_varint(view, position)
        if kind == 0:
            size = 0
        yield tag >> 3, kind, position, position + size
        position += size


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(view) and shift < 70:
        byte = view[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    return 0, len(view)
