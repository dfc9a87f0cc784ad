"""One HTTP/2 connection (RFC 9113) that carries gRPC calls, by callbacks on the event loop."""

import asyncio
from collections.abc import Callable

from slipstream_runtime.errors import UnsupportedError
from slipstream_runtime.rpc import frames
from slipstream_runtime.rpc.call import Call, Conversation
from slipstream_runtime.rpc.frames import FaultError
from slipstream_runtime.rpc.heads import MAX_HEADER_BYTES, HeadReader
from slipstream_runtime.rpc.limits import CALL_WINDOW, Shared
from slipstream_runtime.rpc.sending import Handler, Sending

CONNECTION_WINDOW = 2 * CALL_WINDOW
RETURN_BYTES = CONNECTION_WINDOW // 4

_DRAIN_PING = b"draining"


class Connection(Sending):
    """One connection; its calls are served in any order."""

    def __init__(self, handler: Handler, shared: Shared) -> None:
        super().__init__(handler)
        self.shared = shared
        self._rest = frames.PREFACE[:0]
        self._greeted = False
        self._heads = HeadReader()
        self._block: bytearray | None = None
        self._block_of = (0, 0)
        self._announced = False
        self._owed = 0
        self._call_window = frames.DEFAULT_WINDOW
        self._nuisances = float(shared.limits.nuisances)
        self._refilled = self._active
        self._paused_since: float | None = None
        self._readers: tuple[Callable[[int, int, bytes], None], ...] = (
            self._on_data,
            self._on_headers,
            self._on_priority,
            self._on_reset,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
        )

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport
        if len(self.shared.connections) >= self.shared.limits.connections:
            self._handler.refused()
            self._end(frames.ENHANCE_YOUR_CALM, "too many connections")
            return
        self.shared.connections.add(self)
        self._handler.opened(1)
        values = {
            frames.MAX_CONCURRENT_STREAMS: self.shared.limits.calls,
            frames.INITIAL_WINDOW_SIZE: CALL_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
        }
        self._write(frames.settings(values) + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW))

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the calls under way: their caller has gone, so their rows need not be computed."""
        if self in self.shared.connections:
            self.shared.connections.discard(self)
            self._handler.opened(-1)
        self._transport = None
        for call in self._calls.values():
            self._handler.cancelled(call.lost())
        self._calls.clear()
        self._blocked.clear()

    def pause_writing(self) -> None:
        """Read no more calls from a caller who does not take its answers."""
        self._paused_since = self._loop.time()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._paused_since = None
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Serve what has arrived."""
        try:
            self._read(self._rest + data if self._rest else data)
        except FaultError as fault:
            self._end(fault.code, str(fault))

    def _read(self, data: bytes) -> None:
        position, end = 0, len(data)
        if not self._greeted:
            position = len(frames.PREFACE)
            if data[:position] != frames.PREFACE[:end]:
                raise FaultError(frames.PROTOCOL_ERROR, "not HTTP/2; use a gRPC client")
            if end < position:
                self._rest = data
                return
            self._greeted = True
        while end - position >= frames.HEAD_BYTES:
            upper, lower, kind, flags, stream = frames.HEAD.unpack_from(data, position)
            size = upper << 8 | lower
            if size > frames.DEFAULT_FRAME:
                raise FaultError(frames.FRAME_SIZE_ERROR, "a frame is larger than allowed")
            start = position + frames.HEAD_BYTES
            if start + size > end:
                break
            position = start + size
            self._dispatch(kind, flags, stream & frames.LARGEST_STREAM, data[start:position])
            if self._transport is None:
                return
        self._rest = data[position:]

    def _dispatch(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and (kind != frames.CONTINUATION or stream != self._block_of[0]):
            raise FaultError(frames.PROTOCOL_ERROR, "headers are interrupted by another frame")
        if kind < len(self._readers):
            self._readers[kind](flags, stream, payload)
        else:
            self._nuisance()

    # What the caller sends

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._owed += len(payload)
        if self._owed >= RETURN_BYTES:
            self._write(frames.window_update(0, self._owed))
            self._owed = 0
        call = self._calls.get(stream)
        if call is None or call.ended or call.line is None:
            self._late(stream)
            return
        ended = bool(flags & frames.END_STREAM)
        if flags & frames.PADDED:
            payload = frames.unpadded(frames.PADDED, payload)
        if not (payload or ended):
            self._nuisance()
        call.receive(payload, ended=ended)

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.WITH_PRIORITY):
            payload = frames.unpadded(flags, payload)
        if flags & frames.END_HEADERS:
            self._open(flags, stream, payload)
        else:
            self._block, self._block_of = bytearray(payload), (stream, flags)

    def _on_continuation(self, flags: int, _stream: int, payload: bytes) -> None:
        if self._block is None:
            raise FaultError(frames.PROTOCOL_ERROR, "CONTINUATION without headers before it")
        self._nuisance()
        self._block += payload
        if len(self._block) > MAX_HEADER_BYTES:
            raise FaultError(frames.ENHANCE_YOUR_CALM, "headers: too large")
        if flags & frames.END_HEADERS:
            block, self._block = bytes(self._block), None
            self._open(self._block_of[1], self._block_of[0], block)

    def _open(self, flags: int, stream: int, block: bytes) -> None:
        head = self._heads.read(block)
        ended = bool(flags & frames.END_STREAM)
        if stream <= self._last_stream:
            self._trailers(stream, ended=ended)
            return
        if not stream & 1:
            raise FaultError(frames.PROTOCOL_ERROR, "a client's streams have odd numbers")
        if self._closing:
            return  # it was told which calls are served; this one is for another replica
        self._last_stream = stream
        if len(self._calls) >= self.shared.limits.calls:
            self._nuisance()
            self._write(frames.reset(stream, frames.REFUSED_STREAM))
            return
        found = self._handler.route(head.path)
        handler, many = found if found is not None else (_unserved, False)
        kind = Conversation if many else Call
        call = self._calls[stream] = kind(self, stream, head, handler, self._call_window, self._loop.time())
        if head.refusal is not None:
            call.ended = ended
            call.fail(head.refusal)
        elif ended:
            call.receive(b"", ended=True)

    def _trailers(self, stream: int, *, ended: bool) -> None:
        call = self._calls.get(stream)
        if call is None or call.ended or call.line is None:
            self._late(stream)
        elif not ended:
            raise FaultError(frames.PROTOCOL_ERROR, "headers in the middle of a call")
        else:
            call.receive(b"", ended=True)

    def _late(self, stream: int) -> None:
        """Ignore what comes for a call that was answered early or cancelled, but not for one that never was."""
        if (stream > self._last_stream and not self._closing) or not stream & 1:
            raise FaultError(frames.PROTOCOL_ERROR, "a frame for a call that was never opened")

    def _on_reset(self, _flags: int, stream: int, payload: bytes) -> None:
        frames.read_number(payload)
        self._late(stream)
        self._nuisance()
        self._blocked.pop(stream, None)
        call = self._calls.pop(stream, None)
        if call is not None:
            self._handler.cancelled(call.lost())

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise FaultError(frames.PROTOCOL_ERROR, "SETTINGS belong to the connection")
        if flags & frames.ACK:
            return
        self._nuisance()
        for name, value in frames.read_settings(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                self._resize(value)
            elif name == frames.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                    raise FaultError(frames.PROTOCOL_ERROR, "SETTINGS: frame size out of range")
                self._frame = value
        self._write(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        self._pump()

    def _resize(self, window: int) -> None:
        if window > frames.LARGEST_WINDOW:
            raise FaultError(frames.FLOW_CONTROL_ERROR, "SETTINGS: window out of range")
        for call in self._calls.values():
            call.window += window - self._call_window
        self._call_window = window

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) != len(_DRAIN_PING):
            raise FaultError(frames.PROTOCOL_ERROR, "PING: malformed")
        if not flags & frames.ACK:
            self._nuisance()
            self._write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == _DRAIN_PING:
            self.conclude()

    def _on_window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        size = frames.read_number(payload) & frames.LARGEST_WINDOW
        call = self._calls.get(stream)
        if not size:
            raise FaultError(frames.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if stream == 0:
            self._window += size
        elif call is not None:
            call.window += size
        if max(self._window, call.window if call is not None else 0) > frames.LARGEST_WINDOW:
            raise FaultError(frames.FLOW_CONTROL_ERROR, "WINDOW_UPDATE: window out of range")
        if self._blocked:
            self._pump()

    def _on_priority(self, _flags: int, _stream: int, _payload: bytes) -> None:
        self._nuisance()

    def _on_push_promise(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise FaultError(frames.PROTOCOL_ERROR, "clients make no promises")

    def _on_goaway(self, _flags: int, _stream: int, _payload: bytes) -> None:
        self._nuisance()  # it closes the connection itself, after its last answer

    def _nuisance(self) -> None:
        """Pay for a frame that costs work and asks for nothing; who sends too many of them has to go."""
        self._nuisances -= 1
        if self._nuisances >= 0:
            return
        now, limits = self._loop.time(), self.shared.limits
        self._nuisances = min(float(limits.nuisances), (now - self._refilled) * limits.nuisance_rate) - 1
        self._refilled = now
        if self._nuisances < 0:
            raise FaultError(frames.ENHANCE_YOUR_CALM, "too many pings, cancels or settings")

    # What the listener asks

    def announce(self) -> None:
        """Tell the caller to send further calls elsewhere; those on the wire are still served.

        The ping comes back after every call that was sent before the caller knew (RFC 9113, section 6.8).
        """
        self._announced = True
        farewell = frames.goaway(frames.LARGEST_STREAM, frames.NO_ERROR)
        self._write(farewell + frames.frame(frames.PING, 0, 0, _DRAIN_PING))

    def conclude(self) -> None:
        """Take no further calls, and close after the last answer."""
        if not self._closing:
            self._closing = True
            self._write(frames.goaway(self._last_stream, frames.NO_ERROR))

    def look(self, now: float) -> None:
        """End what takes too long."""
        limits = self.shared.limits
        unread = self._paused_since is not None and now - self._paused_since > limits.unread
        if unread or (not self._greeted and now - self._active > limits.greeting):
            if self._transport is not None:
                self._transport.abort()
            return
        for call in list(self._calls.values()):
            if (call.outgoing and now - call.opened > limits.unread) or (
                call.held and not isinstance(call, Conversation) and now - call.opened > limits.body
            ):
                self._drop(call)
        if not self._calls and now - self._active > limits.idle:
            self._active = now
            if self._announced:  # a client that lives answers the ping, and is gone by now
                self.conclude()
            self.announce()

    def _drop(self, call: Call) -> None:
        self._blocked.pop(call.stream, None)
        self._calls.pop(call.stream, None)
        self._handler.cancelled(call.lost())
        self._write(frames.reset(call.stream, frames.CANCEL))


def _unserved(call: Call, _message: bytes) -> None:
    call.fail(UnsupportedError("this replica has no such method"))
