"""A pool of short client sessions: people come, ask some questions, and go."""

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from slipstream_runtime.load.client import Client, Exchange

SHORT_SESSIONS = (8, 20)
"""How many requests a session carries, from and to; new sessions let new replicas have their share."""

ENDLESS_SESSIONS = (sys.maxsize, sys.maxsize)

IDLE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0

Ended = Callable[[Exchange, int], None]
"""Hears of every request once: its exchange, and the HTTP code or 0."""


@dataclass(frozen=True)
class Address:
    """Where to connect."""

    host: str
    port: int


class Traffic:
    """Sends requests over pooled sessions."""

    def __init__(self, address: Address, seed: int, sessions: tuple[int, int], ended: Ended) -> None:
        self._address = address
        self._sessions = sessions
        self._ended = ended
        self._random = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        self._idle: deque[Client] = deque()
        self._clients: dict[Client, int] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._quiet: asyncio.Future[None] | None = None
        self.outstanding = 0

    def send(self, exchange: Exchange) -> None:
        """Send on an idle session, or on a new one."""
        self.outstanding += 1
        while self._idle:
            client = self._idle.pop()
            if not client.closing:
                client.send(exchange, time.perf_counter())
                return
        self._connect(exchange)

    def sweep(self) -> None:
        """Close sessions idle for long, and give up on requests unanswered for long; called once a second."""
        now = time.perf_counter()
        while self._idle and (self._idle[0].closing or now - self._idle[0].since > IDLE_SECONDS):
            self._idle.popleft().close()
        for client in list(self._clients):
            if client.exchange is not None and now - client.exchange.sent > TIMEOUT_SECONDS:
                self._end(client.exchange, 0)
                client.exchange = None
                client.abort()

    async def quiet(self) -> None:
        """Wait until no request is under way."""
        if self.outstanding:
            self._quiet = self._loop.create_future()
            await self._quiet

    def close(self) -> None:
        """End all sessions."""
        for task in self._connecting:
            task.cancel()
        for client in list(self._clients):
            client.exchange = None
            client.abort()

    def _connect(self, exchange: Exchange) -> None:
        task = self._loop.create_task(self._open(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _open(self, exchange: Exchange) -> None:
        client = Client(self._answered, self._lost)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._loop.create_connection(lambda: client, self._address.host, self._address.port)
        except OSError:  # refused, unreachable, or timed out
            self._end(exchange, 0)
            return
        self._clients[client] = self._random.randint(*self._sessions)
        client.send(exchange, time.perf_counter())

    def _answered(self, client: Client, exchange: Exchange, code: int) -> None:
        if client.closing or client.used >= self._clients.get(client, 0):
            client.close()
        else:
            client.since = time.perf_counter()
            self._idle.append(client)
        self._end(exchange, code)

    def _lost(self, client: Client) -> None:
        self._clients.pop(client, None)
        exchange, client.exchange = client.exchange, None
        if exchange is None:
            return
        if client.used > 1 and not client.heard:
            # The server closed a kept-alive session while our request was on its way: HTTP lets us ask again.
            self._connect(exchange)
        else:
            self._end(exchange, 0)

    def _end(self, exchange: Exchange, code: int) -> None:
        self.outstanding -= 1
        self._ended(exchange, code)
        if self.outstanding == 0 and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
