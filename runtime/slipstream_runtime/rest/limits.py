"""What one process puts up with from its connections."""

from dataclasses import dataclass

MAX_BODY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Times in seconds.

    All are checked by one timer for every connection, so never early, and at most twice `tick` late.

    Attributes:
        connections: open at most; a further one is answered 503 and closed.
        head: from a head's first byte to its last.
        body: from a head's end to its body's.
        silence: between two parts of a body.
        idle: between requests, and before the first.
        unread: without the caller taking one byte of what is sent to it.
        linger: how long what is still sent after a refusal is read and thrown away, so that the refusal arrives.
        waiting: requests of one connection that may wait for their answers, before no more are read from it.
        waiting_bytes: their bodies' bytes, likewise.
        unfinished_bytes: of all bodies being read; a body that would go beyond it is refused with 503.
        tick: between two looks at the connections.
    """

    connections: int = 4096
    head: float = 5.0
    body: float = 30.0
    silence: float = 5.0
    idle: float = 75.0
    unread: float = 30.0
    linger: float = 2.0
    waiting: int = 16
    waiting_bytes: int = 1024 * 1024
    unfinished_bytes: int = 32 * MAX_BODY_BYTES
    tick: float = 1.0
