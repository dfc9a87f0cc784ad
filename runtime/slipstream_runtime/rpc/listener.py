"""Accepts connections, looks after them, and drains them."""

import asyncio
import socket

from slipstream_runtime.rpc.connection import Connection
from slipstream_runtime.rpc.limits import Limits, Shared
from slipstream_runtime.rpc.sending import Handler

BACKLOG = 1024
POLL_SECONDS = 0.02


class Listener:
    """Serves gRPC on one socket."""

    def __init__(self, handler: Handler, sock: socket.socket, limits: Limits) -> None:
        self._handler = handler
        self._socket = sock
        self._shared = Shared(limits)
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start accepting."""
        self._server = await self._loop.create_server(self._connection, sock=self._socket, backlog=BACKLOG)
        self._look()

    def stop_accepting(self) -> None:
        """Close the socket, and tell every caller to send further calls elsewhere."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._shared.connections):
            connection.announce()

    async def drain(self, linger_seconds: float, limit_seconds: float) -> bool:
        """Finish what was accepted; return whether it was finished within the limit.

        Calls that were sent before their caller knew are still served. A caller tells by answering a ping that it
        knows; one that does not answer is believed to know after `linger_seconds`.
        """
        begun = self._loop.time()
        while self._shared.connections:
            elapsed = self._loop.time() - begun
            if elapsed >= limit_seconds:
                break
            if elapsed >= linger_seconds:
                for connection in list(self._shared.connections):
                    connection.conclude()
            await asyncio.sleep(POLL_SECONDS)
        if self._timer is not None:
            self._timer.cancel()
        return not self._shared.connections

    def _connection(self) -> Connection:
        return Connection(self._handler, self._shared)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self._shared.connections):
            connection.look(now)
        self._timer = self._loop.call_later(self._shared.limits.tick, self._look)
