"""One call: collects its message, and carries its answer back."""

from collections.abc import Callable
from typing import Protocol

from slipstream_runtime.errors import BadRequestError, BodyTooLargeError, EncodingError, OverloadedError, ServingError
from slipstream_runtime.rpc.heads import Head
from slipstream_runtime.rpc.limits import CALL_WINDOW, MAX_MESSAGE_BYTES, PREFIX_BYTES, Shared


class Line(Protocol):
    """What a call needs of its connection."""

    shared: Shared

    def answer(self, call: "Call", message: bytes) -> None:
        """Send the one answer, and that all is well."""
        ...

    def fail(self, call: "Call", error: ServingError) -> None:
        """Send why there is no answer."""
        ...

    def push(self, call: "Call", message: bytes) -> None:
        """Send one answer of many."""
        ...

    def complete(self, call: "Call") -> None:
        """Send that all is well and no more answers come."""
        ...

    def credit(self, call: "Call", size: int) -> None:
        """Let the caller send `size` bytes more."""
        ...


class Call:
    """A call with one message and one answer; `line` is None once it is answered or its caller has gone."""

    __slots__ = (
        "_handler", "_parts", "begun", "ended", "head", "held", "line", "opened", "outgoing", "serving", "shared",
        "stream", "trailers", "window",
    )  # fmt: skip

    def __init__(
        self, line: Line, stream: int, head: Head, handler: Callable[["Call", bytes], None], window: int, now: float
    ) -> None:
        self.line: Line | None = line
        self.shared = line.shared
        self.stream = stream
        self.head = head
        self._handler = handler
        self.window = window
        """Bytes that the caller is ready to take."""
        self.opened = now
        self.ended = False
        """Whether the caller has sent all it will."""
        self.held = 0
        """Bytes received that are no whole message yet."""
        self.serving = 0
        """Messages handed to the model and not answered yet."""
        self._parts: list[bytes] = []
        self.begun = False
        """Whether the headers of the answer have gone out."""
        self.outgoing = bytearray()
        """What of the answer waits for the caller to take it."""
        self.trailers = b""

    def done(self) -> bool:
        """Return whether the caller has its answer or has gone."""
        return self.line is None

    def receive(self, content: bytes, *, ended: bool) -> None:
        """Take the next part of the message."""
        self.ended = ended
        if not ended or self._parts:
            self._hold(content)
            if not ended or self.line is None:
                return
            content = b"".join(self._parts)
            self.release()
        try:
            message = _single(content)
        except ServingError as error:
            self.fail(error)
        else:
            self._handler(self, message)

    def _hold(self, content: bytes) -> None:
        self._parts.append(content)
        self._count(content, MAX_MESSAGE_BYTES + PREFIX_BYTES)

    def _count(self, content: bytes, most: int) -> None:
        self.held += len(content)
        self.shared.unfinished_bytes += len(content)
        if self.held > most:
            self.fail(too_large())
        elif self.shared.unfinished_bytes > self.shared.limits.unfinished_bytes:
            self.fail(OverloadedError("overloaded: too many messages are being received; retry later", 1))

    def release(self) -> None:
        """Let go of the parts of the message."""
        self.shared.unfinished_bytes -= self.held
        self.held = 0
        self._parts = []

    def answer(self, message: bytes) -> None:
        """Answer; the caller may have gone."""
        line, self.line = self.line, None
        if line is not None:
            line.answer(self, message)

    def fail(self, error: ServingError) -> None:
        """Answer with an error; the caller may have gone."""
        line, self.line = self.line, None
        if line is not None:
            self.release()
            line.fail(self, error)

    def lost(self) -> int:
        """Take note that the caller has gone; return how many messages the model need not answer any more."""
        self.line = None
        self.release()
        serving, self.serving = self.serving, 0
        return serving


class Conversation(Call):
    """A call with many messages and many answers.

    At most `together` messages are served at a time. Those behind them stay in the buffer, and the caller may send
    more only as they leave it, so that the buffer is bounded.
    """

    __slots__ = ("_buffer", "_credit", "together")

    def __init__(
        self, line: Line, stream: int, head: Head, handler: Callable[["Call", bytes], None], window: int, now: float
    ) -> None:
        super().__init__(line, stream, head, handler, window, now)
        self._buffer = bytearray()
        self._credit = 0
        self.together = 64

    def receive(self, content: bytes, *, ended: bool) -> None:
        """Take the next part of the messages."""
        self.ended = ended
        self._buffer += content
        self._count(content, CALL_WINDOW)
        self._serve()

    def _serve(self) -> None:
        try:
            while self.line is not None and self.serving < self.together:
                message = self._next()
                if message is None:
                    break
                self.serving += 1
                self._handler(self, message)
        except ServingError as error:
            self.fail(error)
        if self.line is not None and self.ended and not self.serving:
            self._complete()

    def _next(self) -> bytes | None:
        """Take the next whole message from the buffer; None until there is one."""
        if len(self._buffer) < PREFIX_BYTES:
            return None
        size = _size(self._buffer)
        if len(self._buffer) < size:
            return None
        message = bytes(memoryview(self._buffer)[PREFIX_BYTES:size])
        del self._buffer[:size]
        self.held -= size
        self.shared.unfinished_bytes -= size
        self._return(size)
        return message

    def _return(self, size: int) -> None:
        self._credit += size
        if self._credit > MAX_MESSAGE_BYTES // 4 and not self.ended and self.line is not None:
            self.line.credit(self, self._credit)
            self._credit = 0

    def push(self, message: bytes) -> None:
        """Send the answer to one message, and go on with the next."""
        self.serving -= 1
        if self.line is not None:
            self.line.push(self, message)
            self._serve()

    def release(self) -> None:
        """Let go of what waits in the buffer."""
        super().release()
        self._buffer = bytearray()

    def _complete(self) -> None:
        if self._buffer:
            self.fail(BadRequestError("the last message is cut short"))
            return
        line, self.line = self.line, None
        if line is not None:
            line.complete(self)


def too_large() -> BodyTooLargeError:
    """Return the error for a message over the cap."""
    return BodyTooLargeError(f"message: larger than {MAX_MESSAGE_BYTES} bytes; send fewer rows a request")


def _size(content: bytes | bytearray) -> int:
    """Return the bytes of the first message in `content`, its prefix included.

    Raises:
        BodyTooLargeError: the message is over the cap.
        EncodingError: it is compressed.
    """
    if content[0]:
        raise EncodingError("grpc-encoding: send the message uncompressed")
    length = int.from_bytes(content[1:PREFIX_BYTES], "big")
    if length > MAX_MESSAGE_BYTES:
        raise too_large()
    return PREFIX_BYTES + length


def _single(content: bytes) -> bytes:
    """Return the one message in `content`."""
    if len(content) < PREFIX_BYTES or len(content) != _size(content):
        raise BadRequestError("message: cut short, missing, or more than one; this method takes one")
    return content[PREFIX_BYTES:]
