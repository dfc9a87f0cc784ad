"""The event loop's turns: how long a request waits outside the queue, in the sockets' buffers. Pure."""

from slipstream_runtime.batching.policy import loop_wait

IDLE_SECONDS = 0.001
"""A pause between two turns of the loop from which on it had nothing to do, so that no request was waiting for it."""


class Turns:
    """The turn that goes on now, if one does, and the one before it; times in seconds.

    `tolerated` is the longest wait at which a request of the default patience is taken.
    """

    __slots__ = ("_credit", "_ended", "_lag", "_last", "began", "tolerated")

    def __init__(self, tolerated: float) -> None:
        self.tolerated = tolerated
        self.began: float | None = None
        """When the first request of the turn that goes on was read."""
        self._ended = float("-inf")
        self._last = 0.0
        self._lag = 0.0
        self._credit = 0.0

    def begin(self, now: float) -> None:
        """Note that the first request of a turn was read."""
        self._lag = self._last if now - self._ended < IDLE_SECONDS else 0.0
        self.began = now

    def leave(self) -> float | None:
        """Let requests that are read from now on begin another turn; return when this one began."""
        began, self.began = self.began, None
        return began

    def end(self, began: float | None, now: float) -> None:
        """Note that the turn that began then is over."""
        self._last = 0.0 if began is None else now - began
        self._ended = now

    def wait(self, now: float) -> float:
        """Return how long a request read now is held up outside the queue, zero for some where that is too long.

        To refuse takes the loop a third of what serving takes, so that refusing everyone would keep it as late as it
        is and answer nobody: the share that is let pass is what the loop could hold in time.
        """
        late = loop_wait(self._lag, 0.0 if self.began is None else now - self.began)
        if late <= self.tolerated:
            return late
        self._credit += self.tolerated / late
        if self._credit < 1:
            return late
        self._credit -= 1
        return 0.0
