"""HTTP by hand: a listener with pages that a test settles itself, and a caller that sends any bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

import uvloop

from slipstream_runtime.errors import OverloadedError, ServingError
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.rest.exchange import Exchange, Line
from slipstream_runtime.rest.head import Head
from slipstream_runtime.rest.hub import Page, Route
from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.listener import Listener
from slipstream_runtime.rest.responses import rest
from slipstream_runtime.rest.sockets import bind

TEXT = b"text/plain"
PATIENCE_SECONDS = 20


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on the loop that serves, whose transports are not asyncio's."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*arguments, **named))

    return run


async def until(question: Callable[[], object]) -> None:
    """Wait until the answer is yes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not question():  # noqa: ASYNC110  # what is asked about tells nobody of it
            await asyncio.sleep(0.002)


@dataclass
class Desk:
    """What the test pages saw."""

    held: list["PageExchange"] = field(default_factory=list)
    lost: list["PageExchange"] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def route(self, _head: Head) -> Page:
        """Return the page that all requests get."""
        return partial(PageExchange, self)

    async def holds(self, count: int) -> None:
        """Wait until so many requests are held."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.held) < count:
                self.arrived.clear()
                await self.arrived.wait()


class PageExchange(Exchange):
    """Echoes the body: /held when the test says so, /refused never, every other page at once."""

    def __init__(self, desk: Desk, line: Line, head: Head) -> None:
        super().__init__(line, head)
        self.desk = desk
        self.body = b""

    def refusal(self) -> ServingError | None:
        """Refuse early, on that page."""
        return OverloadedError("overloaded: retry later", 1) if self.head.target == b"/refused" else None

    def receive(self, body: bytes) -> None:
        """Echo or hold."""
        self.body = body
        self.desk.bodies.append(body)
        if self.head.target.startswith(b"/held"):
            self.desk.held.append(self)
            self.desk.arrived.set()
        elif self.head.target == b"/broken":
            raise RuntimeError("a page that is broken")
        else:
            self.echo()

    def echo(self) -> None:
        """Answer with path and body."""
        self.finish(200, rest(self.head.target + b" " + self.body, TEXT))

    def lost(self) -> None:
        """Remember that the caller has gone."""
        self.desk.lost.append(self)


@dataclass
class Reply:
    """One answer."""

    code: int
    headers: dict[str, str]
    body: bytes


class Caller:
    """One connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def reply(self, *, head_only: bool = False) -> Reply:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
            length = 0 if head_only else int(headers.get("content-length", 0))
            return Reply(int(lines[0].split()[1]), headers, await self.reader.readexactly(length))

    async def ask(self, data: bytes) -> Reply:
        """Send bytes and read one answer."""
        self.send(data)
        return await self.reply()

    async def ended(self) -> bool:
        """Wait for the end of the connection; return whether nothing came before it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    def close(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


@dataclass
class Listening:
    """A listener under test."""

    listener: Listener
    desk: Desk
    port: int
    stopped: bool = False

    def stop(self) -> None:
        """Stop accepting."""
        if not self.stopped:
            self.stopped = True
            self.listener.stop_accepting()

    async def falls_to(self, connections: int) -> None:
        """Wait until no more connections than that are open."""
        await until(lambda: self.listener.connections <= connections)

    @asynccontextmanager
    async def caller(self, host: str = "127.0.0.1") -> AsyncIterator[Caller]:
        """Connect."""
        reader, writer = await asyncio.open_connection(host, self.port)
        try:
            yield Caller(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(
    route: Route, limits: Limits, telemetry: Telemetry | None = None, host: str = "127.0.0.1", desk: Desk | None = None
) -> AsyncIterator[Listening]:
    """Listen with any pages until the block ends."""
    sock: socket.socket = bind("port", host, 0)
    listener = Listener(route, sock, limits, telemetry)
    listener.start()
    served = Listening(listener, desk or Desk(), sock.getsockname()[1])
    try:
        yield served
    finally:
        served.stop()
        await listener.drain(0, 1)


@asynccontextmanager
async def listening(limits: Limits | None = None, host: str = "127.0.0.1") -> AsyncIterator[Listening]:
    """Listen with the test pages until the block ends."""
    desk = Desk()
    async with serving(desk.route, limits or Limits(), host=host, desk=desk) as served:
        yield served


def request(method: str = "POST", target: str = "/", body: bytes = b"", *lines: str, version: str = "1.1") -> bytes:
    """Return the bytes of a request of declared length."""
    head = [f"{method} {target} HTTP/{version}", "Host: here", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body
