"""A web server on loopback that lies, stalls and breaks off as a test asks, one route at a time."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import unquote


@dataclass(frozen=True)
class Request:
    """What was asked; names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]


Route = Callable[[Request, socket.socket], None]
"""Answers one request on the bare connection, which is closed afterwards."""


@dataclass
class HostileWeb:
    """The routes by path, and every request that came."""

    port: int
    scheme: str
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of `path`."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    def add(self, path: str, *routes: Route) -> str:
        """Answer `path` with each of the routes in turn, and with the last from then on; return its address."""
        turns = count()

        def route(request: Request, line: socket.socket) -> None:
            routes[min(next(turns), len(routes) - 1)](request, line)

        self.routes[path] = route
        return self.url(path)


@contextmanager
def hostile_web(tls: ssl.SSLContext | None = None) -> Iterator[HostileWeb]:
    """Serve on a free port, with TLS where a context is given."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tls = tls
        server.web = HostileWeb(server.server_address[1], "https" if tls else "http")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.web
        finally:
            server.shutdown()
            thread.join()


def answer(status: int, body: bytes = b"", **headers: str) -> Route:
    """Send this status, these headers (underscores for dashes) and this body, with its true length unless given."""
    fields = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = f"HTTP/1.1 {status} X\r\n{head}Connection: close\r\n\r\n".encode() + body
    return lambda _request, line: line.sendall(data)


def redirect(target: str, status: int = 302) -> Route:
    """Send the client elsewhere."""
    return answer(status, Location=target)


def file(body: bytes, tag: str | None = '"v1"', ranges: bool = True) -> Route:
    """Serve a file as it should be, from the byte that is asked for if `ranges`."""

    def route(request: Request, line: socket.socket) -> None:
        headers = {"ETag": tag} if tag else {}
        asked = request.headers.get("range")
        if not ranges or asked is None or request.headers.get("if-range") != tag:
            answer(200, body, **headers)(request, line)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        place = f"bytes {start}-{len(body) - 1}/{len(body)}"
        answer(206, body[start:], Content_Range=place, **headers)(request, line)

    return route


def broken_off(body: bytes, after: int, tag: str | None = '"v1"') -> Route:
    """Promise the whole body, send its first `after` bytes, and close."""
    headers = {"ETag": tag} if tag else {}
    return answer(200, body[:after], Content_Length=str(len(body)), **headers)


def endless(_request: Request, line: socket.socket) -> None:
    """Send pieces of 64 KiB without a length until the client leaves."""
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with suppress(OSError):
        while True:
            line.sendall(piece)


def dripping(_request: Request, line: socket.socket) -> None:
    """Promise a body and send it byte by byte, a hundred a second, until the client leaves."""
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    line.settimeout(0.01)
    with suppress(ConnectionError):
        while True:
            line.sendall(b"x")
            with suppress(TimeoutError):
                if not line.recv(1):
                    return


def until_the_client_leaves(first: bytes) -> Route:
    """Send `first`, and then nothing more."""

    def route(_request: Request, line: socket.socket) -> None:
        line.sendall(first)
        with suppress(OSError):
            line.recv(1)

    return route


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = True
    web: HostileWeb
    tls: ssl.SSLContext | None

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: clients that leave in the middle are what these tests are about."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Read one request and let its route answer."""
        line: socket.socket = self.request
        line.settimeout(20)
        if self.server.tls is not None:
            line = self.server.tls.wrap_socket(line, server_side=True)
        with line:
            head = b""
            while b"\r\n\r\n" not in head and (piece := line.recv(4096)):
                head += piece
            first, *rest = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in rest)}
            request = Request(first.split(" ")[1], headers)
            self.server.web.requests.append(request)
            routes = self.server.web.routes
            route = routes.get(request.path) or routes.get(unquote(request.path)) or answer(404)
            route(request, line)
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
