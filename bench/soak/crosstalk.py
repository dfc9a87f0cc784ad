"""Many callers on plain sockets, some of whom leave early: whoever is answered must be answered with their own nonces.

One loop over epoll, because the generator has to leave the processors to the replicas.
"""

import json
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.soak.requests import FIRST_NONCE, Kind

ODDS = (("one", 70), ("binary", 15), ("three", 12), ("trap", 1), ("hasty", 2))
LEAVING = 0.01
"""The share of callers who close their connection instead of waiting for their answer."""

SILENCE_SECONDS = 20.0
_LINGER = struct.pack("ii", 1, 0)


@dataclass
class Counts:
    """What became of the requests; all but `mismatched`, `wrong` and `silent` are as they should be.

    `mismatched` answers were not the caller's own, `wrong` ones failed without cause or did not fail with one, and
    `silent` ones never came.
    """

    sent: int = 0
    own: int = 0
    left: int = 0
    failed: int = 0
    refused: int = 0
    mismatched: int = 0
    wrong: int = 0
    silent: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many requests went wrong."""
        return self.mismatched + self.wrong + self.silent


@dataclass
class Counter:
    """Counts that survive an interruption, in the file at `path` if there is one."""

    path: Path | None
    counts: Counts = field(default_factory=Counts)

    def load(self) -> None:
        """Go on from what was kept."""
        if self.path is not None and self.path.exists():
            self.counts = Counts(**json.loads(self.path.read_text()))

    def keep(self) -> None:
        """Write the counts."""
        if self.path is not None:
            self.path.write_text(json.dumps(asdict(self.counts)))


class _Caller:
    __slots__ = ("buffer", "kind", "kinds", "nonce", "port", "sent", "socket")

    def __init__(self, port: int, kinds: Sequence[Kind]) -> None:
        self.port, self.kinds = port, kinds
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = b""


class Crowd:
    """Callers of several replicas, each with one request under way."""

    def __init__(self, targets: Sequence[tuple[int, dict[str, Kind], int]], counts: Counts, seed: int) -> None:
        """`targets` holds a port, its kinds of requests, and how many callers it has."""
        self._counts = counts
        self._random = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        self._poll = select.epoll()
        self._callers: dict[int, _Caller] = {}
        self._nonce = FIRST_NONCE + 4 * counts.sent
        for port, kinds, number in targets:
            drawn = [kinds[name] for name, odds in ODDS for _ in range(odds)]
            for _ in range(number):
                self._add(_Caller(port, drawn))

    def run(self, until: int, tick: Callable[[], None]) -> None:
        """Send requests until `until` have been sent in all, and take the answers; call `tick` once a second."""
        for caller in list(self._callers.values()):
            self._send(caller)
        ticked = heard = time.monotonic()
        while self._callers:
            events = self._poll.poll(1.0)
            now = time.monotonic()
            for descriptor, _ in events:
                caller = self._callers[descriptor]
                if self._receive(caller):
                    self._next(caller, until)
            heard = now if events else heard
            if now - ticked >= 1:
                self._counts.seconds += now - ticked
                ticked = now
                tick()
            if now - heard > SILENCE_SECONDS:
                self._counts.silent += len(self._callers)
                return
        self._counts.seconds += time.monotonic() - ticked

    def close(self) -> None:
        """Close what is left."""
        for caller in self._callers.values():
            caller.socket.close()
        self._poll.close()

    def _add(self, caller: _Caller) -> None:
        self._callers[caller.socket.fileno()] = caller
        self._poll.register(caller.socket, select.EPOLLIN)

    def _drop(self, caller: _Caller) -> None:
        self._poll.unregister(caller.socket)
        del self._callers[caller.socket.fileno()]
        caller.socket.close()

    def _next(self, caller: _Caller, until: int) -> None:
        if self._counts.sent >= until:
            self._drop(caller)
            return
        self._send(caller)
        while self._random.random() < LEAVING and self._counts.sent < until:
            self._leave(caller)
            self._send(caller)

    def _send(self, caller: _Caller) -> None:
        self._counts.sent += 1
        self._nonce += 4  # more than the rows of a request
        caller.nonce, caller.kind = self._nonce, self._random.choice(caller.kinds)
        caller.socket.send(caller.kind.request(caller.nonce))

    def _leave(self, caller: _Caller) -> None:
        """Close the connection at once, by a reset half of the time, and open another."""
        self._counts.left += 1
        if self._random.random() < 0.5:
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self._drop(caller)
        caller.connect()
        self._add(caller)

    def _receive(self, caller: _Caller) -> bool:
        """Read; return whether the answer is complete, or lost, and has been counted."""
        try:
            received = caller.socket.recv(65536)
        except ConnectionResetError:
            received = b""
        if not received:
            self._counts.silent += 1
            self._drop(caller)
            caller.connect()
            self._add(caller)
            return True
        caller.buffer += received
        head, found, body = caller.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return False
        self._judge(caller, int(head[9:12]), body)
        caller.buffer = b""
        return True

    def _judge(self, caller: _Caller, code: int, body: bytes) -> None:
        kind, counts = caller.kind, self._counts
        if code == 200 and not kind.fails:
            if kind.answers(body, caller.nonce):
                counts.own += 1
            else:
                counts.mismatched += 1
        elif code == 500 and kind.fails:
            counts.failed += 1
        elif code in {429, 504}:
            counts.refused += 1
        else:
            counts.wrong += 1


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + 15
    end = lower.find(b"\r\n", start)
    return int(lower[start:] if end < 0 else lower[start:end])
