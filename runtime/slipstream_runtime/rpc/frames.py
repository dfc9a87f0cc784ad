"""HTTP/2 frames (RFC 9113, sections 4 and 6), as far as a gRPC server needs them. Pure."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = 0x01
ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB

HEADER_TABLE_SIZE = 0x1
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME = 16_384
LARGEST_FRAME = 2**24 - 1
LARGEST_WINDOW = 2**31 - 1
LARGEST_STREAM = 2**31 - 1

HEAD_BYTES = 9
HEAD = struct.Struct(">HBBBI")
"""Length (the upper 16 bits, then the lower 8), type, flags, stream."""

_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")


class FaultError(Exception):
    """The peer broke HTTP/2's rules, so that the connection must end; `code` is one of the error codes above."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def head(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Return the nine bytes before a payload of `length` bytes."""
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    return head(kind, flags, stream, len(payload)) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings of a SETTINGS frame, in order.

    Raises:
        FaultError: the frame has no whole number of settings.
    """
    if len(payload) % _SETTING.size:
        raise FaultError(FRAME_SIZE_ERROR, "SETTINGS: not a whole number of settings")
    return list(_SETTING.iter_unpack(payload))


def reset(stream: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def window_update(stream: int, size: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def goaway(last_stream: int, code: int, message: str = "") -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last_stream) + _NUMBER.pack(code) + message.encode())


def read_number(payload: bytes) -> int:
    """Return the one 32-bit number that a RST_STREAM or WINDOW_UPDATE frame holds.

    Raises:
        FaultError: the frame has another length.
    """
    if len(payload) != _NUMBER.size:
        raise FaultError(FRAME_SIZE_ERROR, "a frame of four bytes has another length")
    return int(_NUMBER.unpack(payload)[0])


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return the payload of a DATA or HEADERS frame without its padding and priority.

    Raises:
        FaultError: the padding is longer than the frame.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise FaultError(FRAME_SIZE_ERROR, "a padded frame without the length of its padding")
        start, end = 1, end - payload[0]
    if flags & WITH_PRIORITY:
        start += 5
    if start > end:
        raise FaultError(PROTOCOL_ERROR, "a frame's padding is longer than the frame")
    return payload[start:end]
