"""Measures how late the event loop wakes: what a request waits for it at least."""

import asyncio
import time

from slipstream_runtime.observing.telemetry import Histogram

EVERY_SECONDS = 0.1


class LagProbe:
    """Sets a timer ten times a second and counts how late it rings."""

    def __init__(self, lags: Histogram) -> None:
        self._lags = lags
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Set the timer."""
        self._due = time.perf_counter() + EVERY_SECONDS
        self._timer = self._loop.call_later(EVERY_SECONDS, self._ring)

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._lags.observe(max(0.0, time.perf_counter() - self._due))
        self.start()
