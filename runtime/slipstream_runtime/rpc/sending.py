"""The sending half of an HTTP/2 connection: answers, as far as the caller has room for them."""

import asyncio
import struct
from collections.abc import Callable
from typing import Protocol

from slipstream_runtime.errors import ServingError
from slipstream_runtime.rpc import frames
from slipstream_runtime.rpc.call import Call
from slipstream_runtime.rpc.limits import PREFIX_BYTES
from slipstream_runtime.rpc.status import HEADERS_BLOCK, OK_TRAILERS, error_trailers

_END = frames.END_HEADERS | frames.END_STREAM
_MESSAGE_HEAD = struct.Struct(">HBBBIBI")


class Handler(Protocol):
    """What a connection needs of the service behind it."""

    def route(self, path: bytes) -> tuple[Callable[[Call, bytes], None], bool] | None:
        """Return what serves a message sent to `path`, and whether the call has many of them."""
        ...

    def failed(self, error: ServingError, seconds: float) -> None:
        """Count a call that was answered with an error, so many seconds after it was opened."""
        ...

    def cancelled(self, messages: int) -> None:
        """Count messages whose caller went away, or was sent away, before their answer."""
        ...

    def opened(self, change: int) -> None:
        """Count connections opened (1) and closed (-1)."""
        ...

    def refused(self) -> None:
        """Count a connection refused because there are too many."""
        ...


class Sending(asyncio.Protocol):
    """What a connection sends; it is the `line` of its calls."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, Call] = {}
        self._blocked: dict[int, Call] = {}
        """Calls whose answers wait for room."""
        self._last_stream = 0
        self._closing = False
        self._window = frames.DEFAULT_WINDOW
        self._frame = frames.DEFAULT_FRAME
        self._active = self._loop.time()

    def answer(self, call: Call, message: bytes) -> None:
        """Send the one answer and that all is well: in one write when the caller has room for it, as nearly always."""
        size = len(message) + PREFIX_BYTES
        stream = call.stream
        if size > self._window or size > call.window or size > self._frame or not call.ended:
            self._headers(call)
            self.push(call, message)
            self.complete(call)
            return
        self._window -= size
        del self._calls[stream]
        self._active = self._loop.time()
        self._write(
            b"".join(
                (
                    frames.head(frames.HEADERS, frames.END_HEADERS, stream, len(HEADERS_BLOCK)),
                    HEADERS_BLOCK,
                    _MESSAGE_HEAD.pack(size >> 8, size & 0xFF, frames.DATA, 0, stream, 0, size - PREFIX_BYTES),
                    message,
                    frames.head(frames.HEADERS, _END, stream, len(OK_TRAILERS)),
                    OK_TRAILERS,
                )
            )
        )

    def push(self, call: Call, message: bytes) -> None:
        """Send one answer of many."""
        self._headers(call)
        call.outgoing += b"\0" + len(message).to_bytes(4, "big")
        call.outgoing += message
        self._blocked[call.stream] = call
        self._pump()

    def complete(self, call: Call) -> None:
        """Send that all is well and no more answers come."""
        self._finish(call, OK_TRAILERS)

    def fail(self, call: Call, error: ServingError) -> None:
        """Send why there is no answer."""
        self._handler.cancelled(call.serving)
        call.serving = 0
        self._handler.failed(error, self._loop.time() - call.opened)
        trailers = error_trailers(error)
        self._finish(call, trailers if call.begun else HEADERS_BLOCK + trailers)

    def credit(self, call: Call, size: int) -> None:
        """Let the caller send `size` bytes more."""
        self._write(frames.window_update(call.stream, size))

    def _headers(self, call: Call) -> None:
        if not call.begun:
            call.begun = True
            self._write(frames.frame(frames.HEADERS, frames.END_HEADERS, call.stream, HEADERS_BLOCK))

    def _finish(self, call: Call, trailers: bytes) -> None:
        call.trailers = trailers
        self._active = self._loop.time()
        if call.outgoing:
            return  # they follow when the caller has taken what is before them
        self._blocked.pop(call.stream, None)
        self._calls.pop(call.stream, None)
        end = frames.frame(frames.HEADERS, _END, call.stream, trailers)
        if not call.ended:  # what is left of the message is not wanted any more
            end += frames.reset(call.stream, frames.NO_ERROR)
        self._write(end)

    def _pump(self) -> None:
        """Send what waits, as far as the callers have room for it."""
        for call in list(self._blocked.values()):
            while call.outgoing:
                size = min(len(call.outgoing), self._window, call.window, self._frame)
                if size <= 0:
                    break
                self._write(frames.frame(frames.DATA, 0, call.stream, bytes(call.outgoing[:size])))
                del call.outgoing[:size]
                self._window -= size
                call.window -= size
                self._active = call.opened = self._loop.time()
            if not call.outgoing:
                del self._blocked[call.stream]
                if call.trailers:
                    self._finish(call, call.trailers)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            if self._closing and not self._calls:
                self._transport.close()

    def _end(self, code: int, message: str) -> None:
        """Close at once, and say why."""
        if self._transport is not None:
            self._transport.write(frames.goaway(self._last_stream, code, message))
            self._transport.close()
            self._transport = None
