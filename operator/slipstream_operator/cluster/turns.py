"""Counts the turns of the queue and how long they took, as a Prometheus histogram has them."""

import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable

EDGES_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets; a last one, of all turns, follows."""


class Turns:
    """The turns of this process, whichever terms of leadership they fell into."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.counts = [0] * (len(EDGES_SECONDS) + 1)
        self.seconds = 0.0
        self.failed = 0

    async def timed(self, turn: Awaitable[float | None]) -> float | None:
        """Do the turn, count it, and return what it returns."""
        began = self._clock()
        try:
            return await turn
        except Exception:
            self.failed += 1
            raise
        finally:
            taken = self._clock() - began
            self.seconds += taken
            self.counts[bisect_left(EDGES_SECONDS, taken)] += 1
