"""Errors as gRPC's status codes and trailers. Pure."""

from slipstream_runtime.errors import OverloadedError, ServingError

OK = 0
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

BY_HTTP_CODE = {
    400: INVALID_ARGUMENT,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: NOT_FOUND,
    405: UNIMPLEMENTED,
    408: DEADLINE_EXCEEDED,
    413: RESOURCE_EXHAUSTED,
    415: UNIMPLEMENTED,
    429: RESOURCE_EXHAUSTED,
    500: INTERNAL,
    501: UNIMPLEMENTED,
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}
"""The status code for each HTTP code that the errors of the runtime carry."""

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}


def _length(size: int) -> bytes:
    """Return a string's length in HPACK's form: seven bits, or 127 and the rest in groups of seven."""
    if size < 127:
        return bytes((size,))
    rest, out = size - 127, [127]
    while rest >= 128:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*out, rest))


def literal(name: bytes, value: bytes) -> bytes:
    """Return one header as HPACK writes it without Huffman code and without the dynamic table (RFC 7541, 6.2.2).

    Nothing is remembered between answers, so that every block of headers can be made once and sent to everyone.
    """
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


HEADERS_BLOCK = b"\x88" + literal(b"content-type", b"application/grpc")
"""`:status: 200`, which is entry 8 of HPACK's static table, and the type."""

OK_TRAILERS = literal(b"grpc-status", b"0")


def error_trailers(error: ServingError) -> bytes:
    """Return the block of trailers for `error`; its words are safe to show."""
    code = BY_HTTP_CODE.get(error.code, INTERNAL)
    block = literal(b"grpc-status", b"%d" % code) + literal(b"grpc-message", _percent_encoded(str(error)))
    if isinstance(error, OverloadedError):
        block += literal(b"retry-after-ms", b"%d" % (1000 * error.retry_after))
    if error.code == 415:
        block += literal(b"grpc-accept-encoding", b"identity")
    return block


def _percent_encoded(text: str) -> bytes:
    """Return `text` as gRPC's protocol asks of a status message."""
    return b"".join(bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte for byte in text.encode()[:1024])
