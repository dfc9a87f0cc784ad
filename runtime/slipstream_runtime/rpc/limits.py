"""What one process puts up with from its gRPC callers, and the state its connections share."""

from dataclasses import dataclass, field
from typing import Protocol

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""As large as a body over HTTP may be."""

PREFIX_BYTES = 5
"""A message's flag and length (gRPC over HTTP/2, "Length-Prefixed-Message")."""

CALL_WINDOW = MAX_MESSAGE_BYTES + 64 * 1024
"""What a caller may send on one call unasked: a whole message, so that single messages need no window updates."""


@dataclass(frozen=True)
class Limits:
    """Times in seconds; one timer looks at all connections, so that every one is up to `tick` late.

    Attributes:
        connections: open at most; a further one is told so and closed.
        calls: under way at most on one connection; a further one is refused, which its client may retry.
        greeting: until a new connection has spoken HTTP/2.
        body: from a call's headers to the end of its message, where it is a single one.
        unread: without the caller taking one byte of what is sent to it.
        idle: without a call; clients connect again by themselves.
        unfinished_bytes: of all messages being received; a message that would go beyond it is refused.
        nuisances: pings, cancels and other frames that cost us work and ask for nothing, on one connection at once.
        nuisance_rate: how many more of them each second.
        tick: between two looks at the connections.
    """

    connections: int = 4096
    calls: int = 512
    greeting: float = 5.0
    body: float = 30.0
    unread: float = 30.0
    idle: float = 600.0
    unfinished_bytes: int = 32 * MAX_MESSAGE_BYTES
    nuisances: int = 2000
    nuisance_rate: float = 1000.0
    tick: float = 1.0


class Member(Protocol):
    """What the listener asks of a connection."""

    def announce(self) -> None:
        """Tell the caller to send further calls elsewhere."""
        ...

    def conclude(self) -> None:
        """Take no further calls, and close after the last answer."""
        ...

    def look(self, now: float) -> None:
        """End what takes too long."""
        ...


@dataclass
class Shared:
    """What all connections of a process have in common."""

    limits: Limits = field(default_factory=Limits)
    connections: set[Member] = field(default_factory=set)
    unfinished_bytes: int = 0
