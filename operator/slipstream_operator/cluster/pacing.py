"""When a key's turn comes again: pure, in seconds of one clock."""

from dataclasses import dataclass, replace

GAP_SECONDS = 0.2
"""Between two turns of one key, so that a burst of changes is one turn."""

FIRST_SECONDS = 0.5
CAP_SECONDS = 30.0
IMPATIENT_SECONDS = 1.0
"""A change cuts a back-off short, down to this much after the failure: a user's correction must not wait."""


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
