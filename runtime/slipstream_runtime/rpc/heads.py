"""What the headers of a call say. Pure."""

import re
from typing import NamedTuple

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from slipstream_runtime.errors import BadRequestError, EncodingError, NotAllowedError, ServingError
from slipstream_runtime.rpc.frames import COMPRESSION_ERROR, FaultError

MAX_HEADER_BYTES = 16 * 1024
"""All headers of one call, decompressed, with 32 bytes more for each (RFC 7541, section 4.1)."""

TABLE_BYTES = 4096
MAX_REMEMBERED = 64

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class Head(NamedTuple):
    """One call's headers; `refusal` says why it cannot be served whatever it holds, None if it can."""

    path: bytes = b""
    authorization: bytes | None = None
    timeout_seconds: float | None = None
    refusal: ServingError | None = None
    traceparent: bytes | None = None


class _Table(HeaderTable):
    """A table that tells when it changed, because then the same bytes mean something else."""

    changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class HeadReader:
    """Reads the header blocks of one connection.

    After a connection's first calls a block is a few bytes of references into the table, the same for each call.
    What such a block means is remembered until the table changes, which saves nearly all of the decompression.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_BYTES)
        self._table = self._decoder.header_table = _Table()
        self._remembered: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """Return what `block` says; every block must be read, in order, even of a call that is not served.

        Raises:
            FaultError: it cannot be decompressed, or is too large.
        """
        known = self._remembered.get(block)
        if known is not None:
            return known
        changes = self._table.changes
        try:
            fields = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise FaultError(COMPRESSION_ERROR, "headers: too large, or wrongly compressed") from error
        head = _head(dict(fields))
        resized = bool(block) and block[0] & 0xE0 == 0x20
        if self._table.changes != changes or resized or len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        if self._table.changes == changes and not resized:
            self._remembered[block] = head
        return head


def _head(fields: dict[bytes, bytes]) -> Head:
    try:
        _check(fields)
        timeout = fields.get(b"grpc-timeout")
        seconds = None if timeout is None else _seconds(timeout)
        token = fields.get(b"authorization")
        if token is not None:  # perf_analyzer sends the blank after the colon of `-H "authorization: ..."` as well
            token = token.strip()
        return Head(fields.get(b":path", b""), token, seconds, traceparent=fields.get(b"traceparent"))
    except ServingError as error:
        return Head(fields.get(b":path", b""), refusal=error)


def _check(fields: dict[bytes, bytes]) -> None:
    if fields.get(b":method") != b"POST":
        raise NotAllowedError(":method: gRPC calls are sent with POST")
    if not fields.get(b"content-type", b"").startswith(b"application/grpc"):
        raise BadRequestError("content-type: must be application/grpc")
    if fields.get(b"grpc-encoding", b"identity") != b"identity":
        raise EncodingError("grpc-encoding: send the message uncompressed")


def _seconds(timeout: bytes) -> float:
    found = _TIMEOUT.fullmatch(timeout)
    if found is None:
        raise BadRequestError("grpc-timeout: must be up to eight digits and a unit, such as 100m")
    return int(found[1]) * _UNIT_SECONDS[found[2]]
