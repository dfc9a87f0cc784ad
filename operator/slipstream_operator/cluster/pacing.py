"""When a key's turn comes again: pure, in seconds of one clock."""

from collections import Counter
from dataclasses import dataclass, replace

GAP_SECONDS = 0.2
"""Between two turns of one key, so that a burst of changes is one turn."""

FIRST_SECONDS = 0.5
CAP_SECONDS = 30.0
IMPATIENT_SECONDS = 1.0
"""A change cuts a back-off short, down to this much after the failure: a user's correction must not wait."""

SCRAPES_PER_SECOND = 200.0
"""Replicas that are scraped in a second, of those with traffic and of those without: about a quarter of a processor."""


@dataclass(frozen=True)
class Pace:
    """One key's recent past: failures in a row, and when its last turn ended."""

    failures: int = 0
    ended_at: float = float("-inf")

    def succeeded(self, now: float) -> "Pace":
        """Return the pace after a good turn."""
        return Pace(0, now)

    def failed(self, now: float) -> "Pace":
        """Return the pace after a failed turn."""
        return replace(self, failures=self.failures + 1, ended_at=now)

    def on_change(self) -> float:
        """Return the earliest time of a turn that a change asks for."""
        return self.ended_at + (IMPATIENT_SECONDS if self.failures else GAP_SECONDS)

    def on_failure(self, chance: float) -> float:
        """Return the time of the next attempt; `chance` (0 to 1) spreads many keys that fail together."""
        delay = min(CAP_SECONDS, FIRST_SECONDS * 2.0 ** min(self.failures - 1, 16))
        return self.ended_at + delay * (0.5 + chance / 2)


class Fleet:
    """How many replicas there are to scrape, so that the more there are, the more rarely each is looked at.

    Those that serve traffic and those that idle have a budget each: ten thousand idle replicas cost a busy one nothing.
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], tuple[int, bool]] = {}
        self._replicas = Counter[bool]()

    def note(self, key: tuple[str, str], replicas: int, busy: bool) -> None:
        """Take it that `key` has so many replicas, and whether they serve traffic."""
        self.forget(key)
        self._noted[key] = (replicas, busy)
        self._replicas[busy] += replicas

    def forget(self, key: tuple[str, str]) -> None:
        """Take it that `key` has none."""
        replicas, busy = self._noted.pop(key, (0, False))
        self._replicas[busy] -= replicas

    def tick(self, key: tuple[str, str], least_seconds: float) -> float:
        """Return after how many seconds to look at `key` again, at least `least_seconds`."""
        _, busy = self._noted.get(key, (0, False))
        return max(least_seconds, self._replicas[busy] / SCRAPES_PER_SECOND)
