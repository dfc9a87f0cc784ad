"""The chunked transfer coding (RFC 9112, section 7.1), read piece by piece.

llhttp reads it too, but does not say where a body ends, which pipelining needs; the tests hold both against each other.
"""

from slipstream_runtime.rest.faults import HttpError, malformed

MAX_LINE_BYTES = 256
"""Of a chunk's size with its extensions, which are ignored."""

MAX_TRAILER_BYTES = 4096

MAX_CHUNKS = 16 * 1024
"""Of one body: chunks of a few bytes cost more to take apart than they carry."""

HEX = frozenset(b"0123456789abcdefABCDEF")
MAX_HEX_DIGITS = 8


class ChunkReader:
    """Takes one body out of a connection's buffer."""

    def __init__(self) -> None:
        self._left = 0
        """Bytes of the current chunk still to come, with the CRLF that ends it; 0 before a size line."""
        self._chunks = 0
        self._trailer = 0
        self._last = False

    def take(self, buffer: bytearray, body: bytearray) -> bool:
        """Move what is there from `buffer` to `body`; return whether the body is complete.

        Raises:
            HttpError: it is not the chunked coding.
        """
        while not self._last:
            if self._left > 0:
                if not self._take_data(buffer, body):
                    return False
            elif not self._take_size(buffer):
                return False
        return self._take_trailer(buffer)

    def _take_size(self, buffer: bytearray) -> bool:
        line = _line(buffer, MAX_LINE_BYTES)
        if line is None:
            return False
        digits = line.partition(b";")[0].rstrip(b" \t") if b";" in line else line
        if not digits or len(digits) > MAX_HEX_DIGITS or not HEX.issuperset(digits):
            raise malformed("a chunk's size is malformed")
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise HttpError(400, f"body: in more than {MAX_CHUNKS} chunks; send larger ones")
        size = int(digits, 16)
        self._left = size + 2 if size else 0
        self._last = size == 0
        return True

    def _take_data(self, buffer: bytearray, body: bytearray) -> bool:
        data = min(self._left - 2, len(buffer))
        if data > 0:
            body += buffer[:data]
            del buffer[:data]
            self._left -= data
        if self._left > 2 or len(buffer) < 2:
            if self._left == 2 and buffer and buffer[0] != 0x0D:
                raise malformed("a chunk is longer than its size")
            return False
        if buffer[:2] != b"\r\n":
            raise malformed("a chunk is longer than its size")
        del buffer[:2]
        self._left = 0
        return True

    def _take_trailer(self, buffer: bytearray) -> bool:
        """Drop the trailer fields: none means anything here."""
        while (line := _line(buffer, MAX_TRAILER_BYTES - self._trailer)) is not None:
            if not line:
                return True
            if b":" not in line or line[0] in b" \t:":
                raise malformed("a trailer field is malformed")
            self._trailer += len(line) + 2
        return False


def _line(buffer: bytearray, limit: int) -> bytes | None:
    """Take one line that ends in CRLF, without it; None when it is not all there."""
    end = buffer.find(b"\n", 0, limit)
    if end < 0:
        if len(buffer) >= limit:
            raise HttpError(400, "HTTP: a line of the chunked coding is too long")
        return None
    line = bytes(buffer[:end])
    if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
        raise malformed("lines must end in CRLF")
    del buffer[: end + 1]
    return line[:-1]
