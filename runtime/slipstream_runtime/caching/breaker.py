"""Decides whether the shared cache is asked: only where it is quicker than computing, and never while it fails. Pure.

Requests never find out whether it is back; a ping in the background does, and only its success closes the circuit.
"""

from slipstream_runtime.caching.worth import Smoothed

LIMIT_SECONDS = 0.004
"""A round trip may take so long; a cache nearby answers in a tenth of that."""

FAILURES = 3
"""Failures in a row that open the circuit."""

PING_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class Breaker:
    """The state of the shared cache; `open` at first, until a ping has come back."""

    def __init__(self) -> None:
        self.open = True
        self._trip = Smoothed()
        self._failures = 0
        self._wait = PING_SECONDS

    def worthwhile(self, expected: float, left: float) -> bool:
        """Return whether to ask, where computing is expected to take `expected` seconds and `left` remain for all.

        A question may wait for the round before its own: in all two limits at worst, and computing still follows.
        """
        return not self.open and expected > self._trip.value and left > expected + 2 * LIMIT_SECONDS

    def succeeded(self, seconds: float) -> None:
        """Take note of a question that was answered in `seconds`."""
        self._failures = 0
        self._trip.add(seconds)

    def failed(self) -> bool:
        """Take note of a failure, and return whether it opened the circuit."""
        self._failures += 1
        if self.open or self._failures < FAILURES:
            return False
        self.open = True
        self._wait = PING_SECONDS
        return True

    def pinged(self, seconds: float | None) -> bool:
        """Take note of a ping, None for one that failed or came too late; return whether the circuit changed."""
        if seconds is None:
            self._wait = min(2 * self._wait, LONGEST_SECONDS) if self.open else PING_SECONDS
            return self.failed()
        self.succeeded(seconds)
        changed, self.open, self._wait = self.open, False, PING_SECONDS
        return changed

    @property
    def wait(self) -> float:
        """Seconds until the next ping."""
        return self._wait
