"""One worker: a whole replica but for its ports, which it inherits, and its metrics, which it hands over."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError
from slipstream_runtime.observing import logs
from slipstream_runtime.options import parse
from slipstream_runtime.rest.ports import Ports
from slipstream_runtime.server import Replica, prepare, run
from slipstream_runtime.workers.channel import Message, encode

MARGIN_SECONDS = 5.0
"""After the supervisor has died, beyond the drain's limit, for a worker that cannot stop in order."""


def main(control_fd: int, tether_fd: int, serving_fds: tuple[int, int], arguments: Sequence[str]) -> int:
    """Serve until told to stop; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor gives the order
    control = socket.socket(fileno=control_fd)
    options = parse(arguments)
    logs.configure(options.log_format)
    _end_with(tether_fd, options)
    try:
        run(prepare(options, _ports(serving_fds, options)), lambda replica: _report(replica, control))
    except StartError as error:
        control.setblocking(True)
        control.sendall(encode(Message("failed", words=str(error))))
        return 2
    return 0


def _ports(fds: tuple[int, int], options: ServingOptions) -> Ports:
    infer, grpc = fds
    return Ports(_socket(infer), _socket(grpc) if grpc >= 0 else None, None, shared=options.socket_fd >= 0)


def _socket(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def _end_with(tether_fd: int, options: ServingOptions) -> None:
    """Stop when the supervisor is gone, however it went: then its end of the pipe is closed."""

    def watch() -> None:
        os.read(tether_fd, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(options.drain_seconds + MARGIN_SECONDS)
        os._exit(1)  # a session that never ends keeps the loop from stopping

    threading.Thread(target=watch, name="tether", daemon=True).start()


def _report(replica: Replica, control: socket.socket) -> asyncio.Task[None]:
    """Say that the replica is ready, and answer the supervisor's questions from now on."""
    return asyncio.get_running_loop().create_task(_answer(replica, control))


async def _answer(replica: Replica, control: socket.socket) -> None:
    control.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=control)
    writer.write(encode(Message("ready")))
    while await reader.readline():
        health = replica.health
        writer.write(encode(Message("status", "", health.live, health.ready, replica.collector.collect())))
        await writer.drain()
