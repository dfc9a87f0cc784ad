"""The ceiling of any server on this loop: `python -m bench.serving.fixed PORT ANSWER_FILE PROCESSES`.

It answers whatever comes with the bytes of the file: only the kernel, uvloop and one call a request are left.
"""

import asyncio
import multiprocessing
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

_BACKLOG = 1024


class _Replay(asyncio.Protocol):
    """Takes each packet for one whole request, as wrk sends them."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._write: Any = None

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._write = transport.write

    def data_received(self, _data: bytes) -> None:
        """Answer."""
        self._write(self._answer)


async def _serve(port: int, answer: bytes) -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    server = await asyncio.get_running_loop().create_server(lambda: _Replay(answer), sock=sock, backlog=_BACKLOG)
    await server.serve_forever()


def _run(port: int, answer: bytes) -> None:
    uvloop.run(_serve(port, answer))


def main() -> None:
    """Serve until killed."""
    port, answer, processes = int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
    for _ in range(processes - 1):
        multiprocessing.get_context("spawn").Process(target=_run, args=(port, answer), daemon=True).start()
    _run(port, answer)


if __name__ == "__main__":
    main()
