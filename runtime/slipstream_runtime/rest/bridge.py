"""Hands the pages that need not be fast to an ASGI application: a whole request in, a whole answer out."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from slipstream_runtime.callers.gate import Caller, Gate
from slipstream_runtime.rest.exchange import Line
from slipstream_runtime.rest.head import Head
from slipstream_runtime.rest.waiting import Waiting

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = b"/v2/health/"
"""Pages below it are for probes, which have no key; every other page needs a caller."""

OURS = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"})
"""Headers of an answer that the connection writes itself."""


async def check_caller(gate: Gate, head: Head) -> Caller:
    """Return who sent the request.

    Raises:
        ServingError: it may not be answered, or it cannot be known now.
    """
    return gate.known(head.authorization) or await gate.review(head.authorization)


class BridgeExchange(Waiting):
    """One request to the application."""

    __slots__ = ("_app", "_gate")

    def __init__(self, app: App, gate: Gate, line: Line, head: Head) -> None:
        super().__init__(line, head)
        self._app = app
        self._gate = gate

    async def work(self, body: bytes) -> None:
        """Call the application and answer with what it sends."""
        head = self.head
        if not head.target.startswith(OPEN):
            await check_caller(self._gate, head)
        answer = _Collected()
        await self._app(_scope(head), _Whole(body), answer)
        self.finish(answer.code, answer.rest())


class _Whole:
    """Gives the application the whole body at once."""

    def __init__(self, body: bytes) -> None:
        self._messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def __call__(self) -> Message:
        return self._messages.pop() if self._messages else {"type": "http.disconnect"}


class _Collected:
    """Takes what the application sends."""

    def __init__(self) -> None:
        self.code = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            self._headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            self._parts.append(bytes(message.get("body", b"")))

    def rest(self) -> bytes:
        """Return the answer without its first lines."""
        body = b"".join(self._parts)
        lines = [b"%b: %b\r\n" % (name, value) for name, value in self._headers if name.lower() not in OURS]
        return b"%bcontent-length: %d\r\n\r\n%b" % (b"".join(lines), len(body), body)


def _scope(head: Head) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET" if head.method == b"HEAD" else head.method.decode(),
        "scheme": "http",
        "path": unquote(head.target.decode()),
        "raw_path": head.target,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": None,
        "server": None,
    }
