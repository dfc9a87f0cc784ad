"""A caller over HTTP on a plain socket, and what every caller has in common."""

import random
import socket
import struct
from collections.abc import Mapping
from typing import Protocol

from bench.soak.counts import Counts
from bench.soak.requests import Kind

_ODDS = (("one", 70), ("binary", 15), ("three", 12), ("trap", 1), ("hasty", 2))
_LINGER = struct.pack("ii", 1, 0)


class Caller(Protocol):
    """One connection to a replica, with so many requests under way `together`."""

    socket: socket.socket
    together: int

    @property
    def under_way(self) -> int:
        """How many requests wait for their answers."""
        ...

    def send(self, nonce: int) -> None:
        """Send a request of a kind drawn at random, with `nonce` and its successors."""
        ...

    def receive(self) -> bool:
        """Read, and count what has been answered; return whether the connection lives."""
        ...

    def leave(self) -> bool:
        """Give up requests under way, and count them; return whether the connection lives."""
        ...


class HttpCaller:
    """One request at a time over HTTP/1.1."""

    together = 1

    def __init__(self, port: int, kinds: Mapping[str, Kind], counts: Counts, seed: int) -> None:
        self._kinds = [kinds[name] for name, odds in _ODDS for _ in range(odds)]
        self._counts = counts
        self._random = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        self.socket = connect(port)
        self._buffer = b""
        self._asked: tuple[Kind, int] | None = None

    @property
    def under_way(self) -> int:
        """Whether a request waits for its answer."""
        return int(self._asked is not None)

    def send(self, nonce: int) -> None:
        """Send a request."""
        kind = self._random.choice(self._kinds)
        self._asked = kind, nonce
        self.socket.send(kind.request(nonce))

    def leave(self) -> bool:
        """Close the connection at once, by a reset half of the time."""
        self._counts.left += self.under_way
        hang_up(self.socket, reset=self._random.random() < 0.5)
        return False

    def receive(self) -> bool:
        """Read, and count the answer once it is whole."""
        received = read(self.socket)
        if not received:
            self._counts.silent += self.under_way
            self.socket.close()
            return False
        self._buffer += received
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head) and self._asked is not None:
            self._judge(*self._asked, int(head[9:12]), body)
            self._asked, self._buffer = None, b""
        return True

    def _judge(self, kind: Kind, nonce: int, code: int, body: bytes) -> None:
        if code == 200:
            self._counts.answered(own=kind.answers(body, nonce), fails=kind.fails)
        elif code == 500:
            self._counts.errored(fails=kind.fails)
        elif code in {429, 504}:
            self._counts.refused += 1
        else:
            self._counts.wrong += 1


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + 15
    end = lower.find(b"\r\n", start)
    return int(lower[start:] if end < 0 else lower[start:end])


def connect(port: int) -> socket.socket:
    """Return a connection that does not block any more."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setblocking(False)
    return opened


def read(opened: socket.socket) -> bytes:
    """Return what has come; nothing when the connection has ended."""
    try:
        return opened.recv(65536)
    except ConnectionResetError:
        return b""


def hang_up(opened: socket.socket, *, reset: bool) -> None:
    """Close a connection, by a reset if asked."""
    if reset:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    opened.close()
