"""Starts servers as processes, waits until they answer, and ends every process they left, by its id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.shared.folders import BenchError

START_SECONDS, STOP_SECONDS, POLL_SECONDS = 90.0, 5.0, 0.1
_MARK = "SLIPSTREAM_BENCH_SERVER"


@dataclass(frozen=True)
class Server:
    """A running server: its first process, and where it answers."""

    process: int
    port: int
    grpc_port: int


@contextmanager
def serving(
    name: str,
    command: Callable[[int, int], Sequence[str]],
    ready: Callable[[int], bool],
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[Server]:
    """Run `command(port, grpc_port)` in `folder` until the block ends; it is ready when the block begins.

    Raises:
        BenchError: it ended early or was not ready in time; the message ends with the last line it wrote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, grpc_port = free_port(), free_port()
    mark, log = uuid.uuid4().hex, folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command(port, grpc_port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **environment, _MARK: mark},
        )
    try:
        _await_ready(name, process, lambda: ready(port), log)
        yield Server(process.pid, port, grpc_port)
    finally:
        _end(process, mark)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None:
            raise BenchError(f"{name}: did not start ({_last_line(log)})")
        if time.monotonic() > deadline:
            raise BenchError(f"{name}: was not ready after {START_SECONDS:.0f} s ({_last_line(log)})")
        time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Ask the first process to stop; then kill whatever still carries the mark that all of them inherited."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while (left := _marked(mark)) and time.monotonic() < deadline:
        for identity in left:
            with contextlib.suppress(OSError):
                os.kill(identity, signal.SIGKILL)
        process.poll()
        time.sleep(POLL_SECONDS)


def _marked(mark: str) -> list[int]:
    """Return the processes that live and carry the mark; of one that has ended nothing can be read."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    return " ".join(lines[-1].split())[:160]
