"""Request heads: llhttp parses each distinct one once, then it is known by its bytes.

A client in regular use sends the same head again and again, byte for byte, so that a look-up replaces the parsing of
most requests. What is looked up was accepted by the strict parser before, whole and alone, so that it means the same.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from slipstream_runtime.rest.faults import HttpError, malformed

END = b"\r\n\r\n"
MAX_HEAD_BYTES = 16 * 1024
MAX_LINE_BYTES = 8 * 1024
"""Of the request line, so nearly of the URI."""

CHUNKED = -1
"""The length of a body whose length is not declared; negative, so that it equals no packet's."""

PERSISTENT, CLOSING, PERSISTENT_1_0 = 0, 1, 2
"""What the answer says of the connection: nothing, close, or keep-alive as HTTP/1.0 wants to hear it."""

REPEATED = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"expect"})
"""Headers that, sent twice, could mean one thing to a proxy and another here."""


class Head:
    """One request's line and headers, as far as they matter to framing; `page` is who answers."""

    __slots__ = (
        "authorization",
        "expects",
        "fields",
        "headers",
        "length",
        "method",
        "mode",
        "page",
        "query",
        "quick",
        "target",
    )

    def __init__(self, method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Check what the parser accepted.

        Raises:
            HttpError: it is no request for this server.
        """
        if version not in {"1.1", "1.0"}:
            raise HttpError(505, "HTTP: only versions 1.1 and 1.0 are served")
        self.headers = headers
        self.fields: Mapping[bytes, bytes] = _fields(headers)
        self.authorization = self.fields.get(b"authorization")
        self.method = method
        self.target, self.query = _parts(method, target)
        if version == "1.1" and b"host" not in self.fields:
            raise malformed("the Host header is missing")
        self.length = _length(self.fields, version)
        self.expects = _expects(self.fields) and version == "1.1"
        self.mode = _mode(self.fields, version)
        self.quick = self.mode == PERSISTENT and method != b"HEAD"
        """Whether its answer needs nothing special."""
        self.page: Any = None
        """Who answers it, as the listener's route says; Any, because a cast would cost a call for every request."""


class _Parser:
    """Collects what llhttp reports of one head."""

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.heads = 0
        self._parser = HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Raise HttpError as soon as the bytes cannot become a request."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return  # upgrades are not offered; the request is answered as if it had asked for none
        except HttpParserError as error:
            if self.heads == 1 and any(name == b"transfer-encoding" for name, _value in self.headers):
                raise _coding() from error
            raise malformed("the request line or a header is malformed") from error

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.heads += 1
        self.method = self._parser.get_method()
        self.version = self._parser.get_http_version()


class PartialHead:
    """A head that comes in pieces: tells early that it will never be one."""

    def __init__(self) -> None:
        self._parser = _Parser()
        self._seen = 0

    def look(self, buffer: bytearray) -> None:
        """Look at what has come since the last time.

        Raises:
            HttpError: it is malformed or too large.
        """
        _check_sizes(buffer)
        self._parser.feed(bytes(buffer[self._seen :]))
        self._seen = len(buffer)
        if self._parser.heads:
            raise malformed("lines must end in CRLF")


def parse_head(raw: bytes) -> Head:
    """Return the head whose bytes, up to and with the empty line, are `raw`.

    Raises:
        HttpError: it is malformed, too large or not served.
    """
    _check_sizes(raw)
    parser = _Parser()
    parser.feed(raw)
    if parser.heads != 1:
        raise malformed("lines must end in CRLF")
    return Head(parser.method, parser.target, parser.version, parser.headers)


Page = TypeVar("Page")

MAX_KNOWN = 1024
MAX_KNOWN_BYTES = 2048


class Heads(Generic[Page]):
    """The heads of one listener; `known` is for reading by the hot path."""

    def __init__(self, route: Callable[[Head], Page]) -> None:
        self._route = route
        self.known: dict[bytes, Head] = {}

    def learn(self, raw: bytes) -> Head | None:
        """Return the head if `raw` is one, whole and well-formed; else None, and whoever asks `get` learns why not."""
        if not raw.endswith(END):
            return None
        try:
            return self.get(raw)
        except HttpError:
            return None

    def get(self, raw: bytes) -> Head:
        """Return the head, parsed and routed.

        Raises:
            HttpError: see `parse_head`.
        """
        head = self.known.get(raw)
        if head is None:
            head = parse_head(raw)
            head.page = self._route(head)
            if len(raw) <= MAX_KNOWN_BYTES:
                if len(self.known) >= MAX_KNOWN:
                    self.known.clear()  # callers who vary their heads gain nothing here; an order would cost all
                self.known[raw] = head
        return head


def _check_sizes(raw: bytes | bytearray) -> None:
    if len(raw) > MAX_LINE_BYTES and not 0 <= raw.find(b"\r\n") <= MAX_LINE_BYTES:
        raise HttpError(414, f"HTTP: the URI is too long; at most {MAX_LINE_BYTES} bytes are read")
    if len(raw) > MAX_HEAD_BYTES:
        raise HttpError(431, f"HTTP: the headers are too large; at most {MAX_HEAD_BYTES} bytes are read")


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name in REPEATED:
            raise malformed(f"the header {name.decode()} is sent twice")
        else:
            fields[name] += b", " + value
    return fields


def _parts(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of the target, of which the absolute form is allowed too."""
    if not target.startswith(b"/"):
        if method in {b"CONNECT", b"OPTIONS"}:
            raise HttpError(405, "HTTP: CONNECT and OPTIONS * are not served")
        if not target.lower().startswith((b"http://", b"https://")):
            raise malformed("the URI must begin with /")
        rest = target.split(b"://", 1)[1]
        slash = rest.find(b"/")
        target = rest[slash:] if slash >= 0 else b"/"
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query


def _length(fields: Mapping[bytes, bytes], version: str) -> int:
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return int(fields.get(b"content-length", b"0"))
    if version == "1.0":
        raise malformed("Transfer-Encoding belongs to HTTP/1.1")
    if coding.lower() != b"chunked":
        raise _coding()
    return CHUNKED


def _coding() -> HttpError:
    return HttpError(501, "Transfer-Encoding: only chunked is served")


def _expects(fields: Mapping[bytes, bytes]) -> bool:
    expect = fields.get(b"expect")
    if expect is None:
        return False
    if expect.lower() != b"100-continue":
        raise HttpError(417, "Expect: only 100-continue is served")
    return True


def _mode(fields: Mapping[bytes, bytes], version: str) -> int:
    connection = fields.get(b"connection")
    if connection is None:
        return PERSISTENT if version == "1.1" else CLOSING
    tokens = {token.strip() for token in connection.lower().split(b",")}
    if b"close" in tokens:
        return CLOSING
    if version == "1.1":
        return PERSISTENT
    return PERSISTENT_1_0 if b"keep-alive" in tokens else CLOSING


NO_HEAD = Head(b"", b"/", "1.1", [(b"host", b"")])
"""Of what was never a request."""
