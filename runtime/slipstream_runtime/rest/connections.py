"""Listening sockets, and HTTP connections on top of uvicorn's protocol: cancelling and draining them."""

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from slipstream_runtime.errors import StartError
from slipstream_runtime.rest.asgi import CLOSE, App
from slipstream_runtime.rest.infer_app import TASK_KEY

logger = logging.getLogger(__name__)

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
POLL_SECONDS = 0.02
PAUSE_SECONDS = 0.1

ACCEPTS = 16
"""Connections taken in one round: many, so that newcomers do not starve; bounded, so that sharers get theirs."""


class Connection(HttpToolsProtocol):
    """One HTTP connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request under way: its caller has gone, so its rows need not be computed."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            task = cycle.scope.get(TASK_KEY)
            if isinstance(task, asyncio.Task):
                task.cancel()
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or bool(self.cycle.response_complete)


class Listener:
    """Accepts connections from one socket for one application.

    It accepts by itself because libuv takes only one connection a round of the loop, so that under load newcomers
    would starve behind those who are connected.
    """

    def __init__(self, app: App, sock: socket.socket, *, shared: bool = False) -> None:
        """`shared` tells that other processes accept from the same socket."""
        self._config = Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._socket = sock
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Start accepting."""
        if not self._shared:
            self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def stop_accepting(self) -> None:
        """Close our end of the socket; others who share it go on. Every answer now ends its connection."""
        self._loop.remove_reader(self._socket.fileno())
        if not self._shared:  # what waits in the socket's own queue has no one else to go to
            while self._accept():
                pass
        self._socket.close()
        self._state.default_headers = [CLOSE]

    def _accept(self) -> bool:
        """Accept a few connections; return whether there may be more."""
        for _ in range(ACCEPTS):
            try:
                connection, _address = self._socket.accept()
            except BlockingIOError:
                return False
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(error)
                return False
            connection.setblocking(False)
            task: asyncio.Task[object] = self._loop.create_task(self._open(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)
        return True

    async def _open(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it was reset while it waited
            await self._loop.connect_accepted_socket(self._connect, connection)

    def _pause(self, error: OSError) -> None:
        """Stop for a moment when descriptors or memory ran out, rather than spin on a socket that stays readable."""
        logger.warning("cannot accept connections for now: %s", error.strerror)
        self._loop.remove_reader(self._socket.fileno())
        self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    async def drain(self, linger_seconds: float, limit_seconds: float) -> bool:
        """Finish what was accepted; return whether it was finished within the limit.

        A connection without a request under way may have one on the wire, so that it is closed only after it has
        been silent for `linger_seconds`: a client in regular use is told to close by its next answer instead.
        """
        begun = self._loop.time()
        while self._arriving or self._state.connections or self._state.tasks:
            elapsed = self._loop.time() - begun
            if elapsed >= limit_seconds:
                return False
            if elapsed >= linger_seconds:
                self._close_idle()
            await asyncio.sleep(POLL_SECONDS)
        return True

    def _close_idle(self) -> None:
        for connection in list(self._state.connections):
            if isinstance(connection, Connection) and connection.idle:
                connection.transport.close()

    def _connect(self) -> asyncio.Protocol:
        state: dict[str, Any] = {}
        return Connection(config=self._config, server_state=self._state, app_state=state)


def bind(option: str, host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`, not listening yet.

    Raises:
        StartError: the address is in use or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(f"--{option}: cannot listen on {host}:{port} ({reason}); choose another") from error
    return sock


def inherit(fd: int) -> socket.socket:
    """Return the listening socket that the parent process passed as descriptor `fd`.

    Raises:
        StartError: the descriptor is no listening socket.
    """
    try:
        sock = socket.socket(fileno=fd)
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"--socket-fd: descriptor {fd} is not an open socket ({error.strerror})") from error
    if not listening:
        raise StartError(
            f"--socket-fd: the socket of descriptor {fd} is not listening; call listen() before passing it"
        )
    sock.setblocking(False)
    return sock
