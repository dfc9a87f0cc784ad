"""Ends a run that takes far too long, so that a replica outlives a request its model never finishes."""

import threading
from typing import Protocol

STUCK_SECONDS = 30.0
"""A run is ended after this long: half of the time after which the liveness probe gives the replica up."""


class Stoppable(Protocol):
    """A session that can be told to end what it runs."""

    @property
    def running_seconds(self) -> float:
        """How long the present run has taken; zero when there is none."""
        ...

    def stop(self) -> None:
        """End the present run at its next operator."""
        ...


class Watchdog:
    """Looks at the sessions now and then, on a thread of its own: the event loop may be what is stuck."""

    def __init__(self, limit_seconds: float | None = None) -> None:
        self._limit = STUCK_SECONDS if limit_seconds is None else limit_seconds
        self._sessions: tuple[Stoppable, ...] = ()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def watch(self, *sessions: Stoppable) -> None:
        """Watch these sessions in place of those before."""
        self._sessions = sessions

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._limit / 10):
            for session in self._sessions:
                if session.running_seconds > self._limit:
                    session.stop()
