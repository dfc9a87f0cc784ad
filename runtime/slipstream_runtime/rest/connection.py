"""One HTTP/1.1 connection, made for the case that matters: one whole request in one packet, answered soon.

That case takes one search, one look-up of the head's bytes and one call of the page: no ASGI, task, coroutine or
future. Everything else (bodies in pieces, pipelining, refusals) goes through a buffer, one message at a time.
"""

import asyncio
import logging
from collections import deque
from typing import cast

from slipstream_runtime.errors import ServingError
from slipstream_runtime.rest.body import Body
from slipstream_runtime.rest.exchange import FAILED, Exchange, Refused
from slipstream_runtime.rest.faults import HttpError
from slipstream_runtime.rest.head import CLOSING, END, Head, PartialHead
from slipstream_runtime.rest.hub import Hub
from slipstream_runtime.rest.limits import MAX_BODY_BYTES
from slipstream_runtime.rest.responses import CONTINUE, without_body

logger = logging.getLogger(__name__)

STEPS = 32
"""Messages or parts of bodies taken in one round of the loop, so that pipelined requests leave others their turn."""

MAX_BUFFERED = 64 * 1024
"""Bytes that may wait in the buffer, besides what one read brings, before no more are read."""


class Connection:
    """One connection of a listener, whose `hub` it shares with all others: an asyncio.Protocol by its methods.

    Not by inheritance: what inherits from Python's classes keeps its attributes in a dictionary when it is compiled.
    """

    __slots__ = (
        "_advancing",
        "_blocked",
        "_body",
        "_buffer",
        "_ended",
        "_first",
        "_hub",
        "_known",
        "_later",
        "_lingering",
        "_partial",
        "_reading",
        "_since",
        "_transport",
        "_waiting_bytes",
        "_write",
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known = hub.heads.known
        self._first: Exchange | None = None
        """The request to be answered next."""
        self._later: deque[Exchange] = deque()
        """Those after it, answered or not."""
        self._waiting_bytes = 0
        self._buffer = bytearray()
        self._partial: PartialHead | None = None
        self._body: Body | None = None
        """The body being read."""
        self._advancing = False
        self._reading = True
        self._ended = False
        """Whether what comes further is thrown away."""
        self._lingering = False
        """Whether all is answered, and only the caller's end is waited for."""
        self._blocked = -1
        """Bytes that the caller had not taken when looked at last; -1 while writing goes on freely."""
        self._since = hub.now
        """When it last changed what it waits for."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._first is None and not self._buffer and self._body is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        if not self._hub.add(self):
            if self._hub.overflowing:
                self._transport.abort()
            else:
                self._refuse(HttpError(503, "this replica has as many connections as it takes; retry later"))

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._first is None and not self._buffer and self._body is None and not self._ended:
            end = data.find(END) + 4
            head = self._known.get(data[:end]) or self._hub.heads.learn(data[:end])
            if head is not None and head.length == len(data) - end:
                exchange = self._first = head.page(self, head)
                try:
                    exchange.receive(data[end:])
                except Exception:  # noqa: BLE001  # whatever a page does, its connection and the others go on
                    _broken(exchange)
                return
        if not self._ended:
            self._buffer += data
            if self._body is not None:
                self._since = self._hub.now
            if not self._advancing:
                self._advance()

    def answer(self, exchange: Exchange, code: int, rest: bytes) -> None:
        """Send an answer, or keep it until those before it are sent."""
        hub = self._hub
        if (
            exchange is self._first
            and code == 200
            and exchange.head.quick
            and not (self._later or self._buffer or hub.draining)
        ):
            self._first = None
            self._since = hub.now
            self._write(hub.starts.ok + rest)
            return
        exchange.code, exchange.rest = code, rest
        if exchange is self._first:
            self._send()

    def _send(self) -> None:
        """Send the answers that are ready, in order; then go on reading."""
        while self._first is not None and self._first.code:
            exchange = self._first
            self._first = self._later.popleft() if self._later else None
            self._since = self._hub.now
            self._send_one(exchange)
        if not (self._advancing or self._ended):
            if self._buffer:
                self._hub.soon(self._advance)
            else:
                self._throttle()

    def _send_one(self, exchange: Exchange) -> None:
        mode = exchange.head.mode
        if exchange.close or (self._hub.draining and self._first is None):
            mode = CLOSING
        data = self._hub.starts.get(exchange.code, mode) + exchange.rest
        self._write(without_body(data) if exchange.head.method == b"HEAD" else data)
        if mode == CLOSING:
            self._end()

    def _advance(self) -> None:
        """Take as many messages out of the buffer as may wait at once."""
        self._advancing = True
        try:
            for _ in range(STEPS):
                if self._ended or self._full() or not self._step():
                    break
            else:
                self._hub.soon(self._advance)
        except ServingError as error:
            self._refuse(error)
        except Exception:
            logger.exception("a connection failed inside the replica")
            self._refuse(ServingError(FAILED))
        self._advancing = False
        self._throttle()

    def _full(self) -> bool:
        """Return whether no further message may be taken for now."""
        if self._blocked >= 0:
            return True
        limits = self._hub.limits
        many = len(self._later) >= limits.waiting or self._waiting_bytes >= limits.waiting_bytes
        return many and bool(self._later) and self._body is None

    def _throttle(self) -> None:
        crowded = self._full() or (self._body is None and len(self._buffer) > MAX_BUFFERED)
        reading = self._ended or not crowded
        if reading != self._reading and not self._transport.is_closing():
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _step(self) -> bool:
        """Take one head or one part of a body; return whether there may be more."""
        return self._take_head() if self._body is None else self._take_body(self._body)

    def _take_head(self) -> bool:
        buffer = self._buffer
        last = self._later[-1] if self._later else self._first
        if last is not None and last.head.mode == CLOSING:
            buffer.clear()  # the caller said that nothing follows
        if buffer[:1] == b"\r" or buffer[:1] == b"\n":  # HTTP allows empty lines before a request
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
        if not buffer:
            return False
        end = buffer.find(END)
        if end < 0:
            if self._partial is None:
                self._partial = PartialHead()
                self._since = self._hub.now
            self._partial.look(buffer)
            return False
        self._partial = None
        head = self._hub.heads.get(bytes(buffer[: end + 4]))
        del buffer[: end + 4]
        self._begin(head)
        return True

    def _begin(self, head: Head) -> None:
        """Begin the request of `head`, whose body is in the buffer or will come."""
        exchange = head.page(self, head)
        alone = self._first is None
        self._queue(exchange)
        self._body = Body(head, exchange, self._hub.now)
        if 0 <= head.length <= len(self._buffer) or head.length > MAX_BODY_BYTES:
            return
        self._since = self._hub.now
        error = exchange.refusal()
        if error is not None:
            if head.expects:  # who asked first may send the body or not, so that what follows is unclear
                self._ended = exchange.close = True
            exchange.fail(error)
        elif head.expects and alone and not self._buffer:
            self._write(CONTINUE)

    def _queue(self, exchange: Exchange) -> None:
        if self._first is None:
            self._first = exchange
        else:
            self._later.append(exchange)

    def _take_body(self, body: Body) -> bool:
        hub, before = self._hub, len(body.data)
        complete = body.take(self._buffer)
        hub.unfinished_bytes += len(body.data) - before
        if not complete:
            if hub.unfinished_bytes > hub.limits.unfinished_bytes:
                raise HttpError(503, "this replica is reading as many bodies as it has memory for; retry later")
            return False
        self._drop_body()
        self._waiting_bytes = self._waiting_bytes + len(body.data) if self._later else 0
        if not body.exchange.done():
            try:
                body.exchange.receive(bytes(body.data))
            except Exception:  # noqa: BLE001  # as above
                _broken(body.exchange)
        return True

    def _drop_body(self) -> None:
        if self._body is not None:
            self._hub.unfinished_bytes -= len(self._body.data)
            self._body = None

    def _refuse(self, error: ServingError) -> None:
        """Answer what cannot be read any further, after all that was read before it."""
        body = self._body
        self._drop_body()
        self._buffer.clear()
        self._partial = None
        self._ended = True
        exchange = body.exchange if body is not None else Refused(self)
        if body is None:
            self._queue(exchange)
        if not exchange.done():
            exchange.close = True
            exchange.fail(error)
            return
        last = self._later[-1] if self._later else self._first
        if last is None:
            self._end()  # its refusal is sent already
        else:
            last.close = True

    def _end(self) -> None:
        """Close once everything is sent; after a refusal, only when the caller has had time to read it.

        A socket that is closed with bytes unread resets the connection, which destroys what the caller has not read.
        """
        unread = self._ended or self._body is not None
        self._abandon()
        self._since = self._hub.now
        if unread and not self._transport.is_closing():
            self._lingering = True
            self._transport.write_eof()
        else:
            self._transport.close()
        self._ended = True
        self._throttle()

    def _abandon(self) -> None:
        """Let the requests go that nobody waits for: the batcher drops them."""
        for exchange in (self._first, *self._later):
            if exchange is not None and not exchange.done():
                exchange.line = None
                exchange.lost()
        self._first = None
        self._later.clear()
        self._buffer.clear()
        self._drop_body()

    def pause_writing(self) -> None:
        """Read no further requests of a caller who does not take the answers."""
        self._blocked = self._transport.get_write_buffer_size()
        self._since = self._hub.now
        self._throttle()

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = -1
        self._since = self._hub.now
        self._advance()

    def connection_lost(self, _error: Exception | None) -> None:
        """Drop what waits: its caller has gone, so its rows need not be computed."""
        self._ended = True
        self._abandon()
        self._hub.remove(self)

    def close(self) -> None:
        """End an idle connection."""
        if self._lingering:
            self._transport.abort()
        else:
            self._transport.close()

    def check(self, now: float) -> None:
        """Act if it has waited too long for its caller."""
        limits = self._hub.limits
        now -= limits.tick  # what is compared with it may be so much older than it says
        waited = now - self._since
        if self._blocked >= 0 or self._transport.is_closing():
            self._check_unread(waited)
        elif self._lingering:
            if waited > limits.linger:
                self._transport.abort()
        elif self._body is not None:
            if waited > limits.silence or now - self._body.begun > limits.body:
                self._refuse(HttpError(408, "the body came too slowly; send it faster or send fewer rows"))
        elif self._partial is not None:
            if waited > limits.head:
                self._refuse(HttpError(408, "the request's head came too slowly"))
        elif self._first is None and waited > limits.idle:
            self._transport.close()

    def _check_unread(self, waited: float) -> None:
        unread = self._transport.get_write_buffer_size()
        if unread < self._blocked:
            self._blocked, self._since = unread, self._hub.now
        elif waited > self._hub.limits.unread:
            self._transport.abort()


def _broken(exchange: Exchange) -> None:
    logger.exception("a request failed inside the replica")
    exchange.fail(ServingError(FAILED))
