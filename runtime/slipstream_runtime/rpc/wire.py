"""The few lines of protobuf's wire format that are read and written by hand. Pure."""

from slipstream_runtime.errors import BadRequestError

MAX_PARTS = 4096
"""Inputs, outputs, parameters and tensors of one message; far more than any model takes."""

_DELIMITED = 2
_FIXED = {1: 8, 5: 4}
_INPUTS = 5


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
    """Raise BadRequestError when a message has so many parts that parsing it would take far more memory than itself.

    An empty part costs its sender two bytes and the parser a hundred.
    """
    view = memoryview(content)
    left = MAX_PARTS
    for start, end in _parts(view, left):
        left -= 1 + len(_parts(view[start:end], left))
        if left < 0:
            raise _too_many()


def _parts(view: memoryview, most: int) -> list[tuple[int, int]]:
    """Walk over the fields of one message; return where those that are inputs lie, and one empty place for each other.

    What is no message is left for the parser to refuse.
    """
    places = []
    position, end = 0, len(view)
    while position < end:
        tag, position = _read_varint(view, position)
        kind = tag & 7
        size = _FIXED.get(kind, 0)
        if kind in {0, _DELIMITED}:
            size, position = _read_varint(view, position)
        if kind == 0:
            size = 0
        places.append((position, position + size) if tag >> 3 == _INPUTS and kind == _DELIMITED else (0, 0))
        if len(places) > most:
            raise _too_many()
        position += size
    return places


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


def _too_many() -> BadRequestError:
    return BadRequestError(f"message: has more than {MAX_PARTS} inputs, outputs, parameters and tensors; send fewer")
