"""What all connections of one listener share: their pages, their limits, and the one timer that looks after them."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from slipstream_runtime.observing.telemetry import CONNECTIONS, HTTP, Telemetry
from slipstream_runtime.rest.exchange import Exchange, Line
from slipstream_runtime.rest.head import Head, Heads
from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.responses import Starts

Page = Callable[[Line, Head], Exchange]
"""Who answers requests of one head; calling it makes the exchange."""

Route = Callable[[Head], Page]
"""Finds the page of a head; called once for each distinct head, so that it may be slow but must not depend on time."""

LINGERING = 256
"""Connections over the limit that are told so, which takes them a moment; further ones are cut off at once."""


class Member(Protocol):
    """What the hub needs of a connection."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        ...

    def check(self, now: float) -> None:
        """Act if it has waited too long."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Hub:
    """The shared part of a listener's connections.

    One timer for all, because a timer for each would be set and cancelled with every request.
    """

    def __init__(self, route: Route, limits: Limits, telemetry: Telemetry | None) -> None:
        self.heads = Heads(route)
        self.limits = limits
        self.starts = Starts(time.time())
        self.draining = False
        """Whether every answer ends its connection."""
        self.unfinished_bytes = 0
        """Of all bodies being read."""
        self._members: set[Member] = set()
        self._telemetry = telemetry
        loop = asyncio.get_running_loop()
        self.soon = loop.call_soon
        self.now = time.monotonic()
        """Coarse: as of the last look at the connections."""
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer."""
        self._timer = self._loop.call_later(self.limits.tick, self._look)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, member: Member) -> bool:
        """Take note of a connection; return whether it may stay."""
        self._members.add(member)
        self._count()
        if len(self._members) <= self.limits.connections:
            return True
        if self._telemetry is not None:
            self._telemetry.rejected[CONNECTIONS] += 1
        return False

    def remove(self, member: Member) -> None:
        """Forget a connection that has ended."""
        self._members.discard(member)
        self._count()

    @property
    def members(self) -> list[Member]:
        """Every connection."""
        return list(self._members)

    def _count(self) -> None:
        if self._telemetry is not None:
            self._telemetry.connections[HTTP] = len(self._members)

    @property
    def overflowing(self) -> bool:
        """Whether connections come faster than they can be refused in words."""
        return len(self._members) > self.limits.connections + LINGERING

    def _look(self) -> None:
        self.now = time.monotonic()
        self.starts.tick(time.time())
        for member in self.members:
            member.check(self.now)
        self.start()
