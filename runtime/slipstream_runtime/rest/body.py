"""One request's body on its way in: of declared length, or in chunks; never more than the cap."""

from slipstream_runtime.errors import BodyTooLargeError
from slipstream_runtime.rest.chunks import ChunkReader
from slipstream_runtime.rest.exchange import Exchange
from slipstream_runtime.rest.head import CHUNKED, Head
from slipstream_runtime.rest.limits import MAX_BODY_BYTES


class Body:
    """Collects the body of `exchange`; once that is answered, it only counts what it throws away."""

    __slots__ = ("_chunks", "_left", "_thrown", "begun", "data", "exchange")

    def __init__(self, head: Head, exchange: Exchange, now: float) -> None:
        self.exchange = exchange
        self.begun = now
        self.data = bytearray()
        self._left = head.length
        self._chunks = ChunkReader() if head.length == CHUNKED else None
        self._thrown = 0

    def take(self, buffer: bytearray) -> bool:
        """Move what belongs to the body out of `buffer`; return whether it is complete.

        Raises:
            BodyTooLargeError: there is more than the cap.
            HttpError: it is not the chunked coding.
        """
        if self._left > MAX_BODY_BYTES:
            raise _too_large()
        complete = self._take_declared(buffer) if self._chunks is None else self._chunks.take(buffer, self.data)
        if len(self.data) + self._thrown > MAX_BODY_BYTES:
            raise _too_large()
        if self.exchange.done():
            self._thrown += len(self.data)
            self.data.clear()
        return complete

    def _take_declared(self, buffer: bytearray) -> bool:
        taken = buffer[: self._left]
        self.data += taken
        self._left -= len(taken)
        del buffer[: len(taken)]
        return self._left == 0


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"body: larger than {MAX_BODY_BYTES} bytes; send fewer rows a request")
