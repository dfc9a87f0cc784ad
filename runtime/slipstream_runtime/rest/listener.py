"""Accepts connections, and drains them."""

import asyncio
import logging
import socket
from contextlib import suppress
from typing import cast

from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.rest.connection import Connection
from slipstream_runtime.rest.hub import Hub, Route
from slipstream_runtime.rest.limits import Limits

logger = logging.getLogger(__name__)

BACKLOG = 2048
POLL_SECONDS = 0.02
PAUSE_SECONDS = 0.1

ACCEPTS = 16
"""Connections taken in one round: many, so that newcomers do not starve; bounded, so that sharers get theirs."""


class Listener:
    """Accepts connections from one socket for the pages that `route` finds.

    It accepts by itself because libuv takes only one connection a round of the loop, so that under load newcomers
    would starve behind those who are connected.
    """

    def __init__(
        self,
        route: Route,
        sock: socket.socket,
        limits: Limits,
        telemetry: Telemetry | None = None,
        *,
        shared: bool = False,
    ) -> None:
        """`telemetry` counts the connections; `shared` tells that other processes accept from the same socket."""
        self._hub = Hub(route, limits, telemetry)
        self._socket = sock
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Start accepting."""
        if not self._shared:
            self._socket.listen(BACKLOG)
        self._hub.start()
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def wind_down(self) -> None:
        """Let every answer end its connection from now on."""
        self._hub.draining = True

    def stop_accepting(self) -> None:
        """Close our end of the socket; others who share it go on. Every answer now ends its connection."""
        self._loop.remove_reader(self._socket.fileno())
        if not self._shared:  # what waits in the socket's own queue has no one else to go to
            while self._accept():
                pass
        self._socket.close()
        self._hub.draining = True

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
            await self._loop.connect_accepted_socket(self._connection, connection)

    def _connection(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(self._hub))

    def _pause(self, error: OSError) -> None:
        """Stop for a moment when descriptors or memory ran out, rather than spin on a socket that stays readable."""
        logger.warning("cannot accept connections for now: %s", error.strerror)
        self._loop.remove_reader(self._socket.fileno())
        self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._hub.members)

    @property
    def known_heads(self) -> int:
        """Request heads that are remembered."""
        return len(self._hub.heads.known)

    async def drain(self, linger_seconds: float, limit_seconds: float) -> bool:
        """Finish what was accepted; return whether it was finished within the limit.

        A connection without a request under way may have one on the wire, so that it is closed only after it has
        been silent for `linger_seconds`: a client in regular use is told to close by its next answer instead.
        """
        begun = self._loop.time()
        while self._arriving or self._hub.members:
            elapsed = self._loop.time() - begun
            if elapsed >= limit_seconds:
                return False
            if elapsed >= linger_seconds:
                self._close_idle()
            await asyncio.sleep(POLL_SECONDS)
        self._hub.stop()
        return True

    def _close_idle(self) -> None:
        for member in self._hub.members:
            if member.idle:
                member.close()
