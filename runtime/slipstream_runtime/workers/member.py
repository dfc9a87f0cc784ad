"""One worker, seen from the supervisor."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from slipstream_runtime.observing.families import Family, counted
from slipstream_runtime.workers.channel import ASK, LIMIT_BYTES, Message, decode


class Member:
    """A worker's process and what it said last.

    Attributes:
        started: done when it is ready, with None, or with the line that says why it cannot start.
        status: the last answer it gave.
        asked_at: when it was asked what it has not answered yet, by the loop's clock; zero for nothing.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
        self.process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self.started: asyncio.Future[str | None] = self._loop.create_future()
        self.status = Message("status", live=True)
        self.asked_at = 0.0
        self._answered = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def serving(self) -> bool:
        """Whether its start is over and it still runs."""
        return self._writer is not None and self.started.done() and self.started.result() is None

    @property
    def counted(self) -> list[Family]:
        """What it has counted, as far as it told."""
        return counted(self.status.families)

    async def attend(self) -> int:
        """Listen until it has ended; return its exit code."""
        reader, self._writer = await asyncio.open_connection(sock=self._control, limit=LIMIT_BYTES)
        with contextlib.suppress(OSError, ValueError, msgspec.DecodeError):
            while line := await reader.readline():
                self._hear(decode(line))
        self._writer.close()
        self._writer = None
        code = await asyncio.to_thread(self.process.wait)
        if not self.started.done():
            self.started.set_result(f"a worker process ended while it started ({_cause(code)})")
        return code

    def _hear(self, message: Message) -> None:
        if message.kind != "status":
            self.started.set_result(message.words or None)
            return
        self.status = message
        self.asked_at = 0.0
        self._answered.set()

    async def ask(self, timeout_seconds: float) -> None:
        """Bring `status` up to date, if it answers in time; a question still open is not asked again."""
        if self._writer is None:
            return
        if not self.asked_at:
            self.asked_at = self._loop.time()
            self._answered.clear()
            self._writer.write(ASK)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._answered.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


def start(arguments: Sequence[str], tether: int, serving: Sequence[socket.socket | None]) -> Member:
    """Start a worker that serves on these sockets (inference over HTTP, over gRPC) and ends with the pipe `tether`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    fds = [-1 if sock is None else sock.fileno() for sock in serving]
    passed = [theirs.fileno(), tether, *fds]
    command = [sys.executable, "-m", "slipstream_runtime.workers", *map(str, passed), *arguments]
    with theirs:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[fd for fd in passed if fd >= 0], env=dict(os.environ)
        )
    return Member(process, ours)


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
