"""One HTTP/1.1 connection that carries one request at a time."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Exchange:
    """A request under way: its bytes, and when it was due."""

    request: bytes
    due: float
    sent: float = 0.0


class Client(asyncio.Protocol):
    """A connection; `answered` hears of every answer, `lost` of the connection's end."""

    def __init__(self, answered: "Callable[[Client, Exchange, int], None]", lost: "Callable[[Client], None]") -> None:
        self._answered = answered
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._wanted = 0
        self._code = 0
        self.exchange: Exchange | None = None
        self.used = 0
        self.closing = False
        self.since = 0.0
        """When the connection last became idle."""

    @property
    def heard(self) -> bool:
        """Whether part of the present answer has come."""
        return bool(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def send(self, exchange: Exchange, now: float) -> None:
        """Write the request of `exchange`."""
        exchange.sent = now
        self.exchange = exchange
        self.used += 1
        self._buffer = b""
        self._wanted = 0
        if self._transport is not None:
            self._transport.write(exchange.request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer; report it once whole."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._wanted == 0 and not self._read_head():
            return
        if len(self._buffer) >= self._wanted:
            self.exchange, exchange = None, self.exchange
            self._buffer = b""
            if exchange is not None:
                self._answered(self, exchange, self._code)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the connection."""
        self.closing = True
        self._lost(self)

    def close(self) -> None:
        """End the connection."""
        self.closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever is under way."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._buffer[: end + 2]
        length = _LENGTH.search(head)
        if length is None or not head[9:12].isdigit():
            self.abort()
            return False
        self._code = int(head[9:12])
        self.closing = self.closing or _CLOSE.search(head) is not None
        self._wanted = end + 4 + int(length[1])
        return True
