"""Time that passes only when told, in place of the clocks that the operator reads."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from unittest.mock import patch

from slipstream_operator.cluster import events, reconciler, world

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualTime:
    """Answers as the module `time` and the class `datetime` do, of one clock."""

    def __init__(self) -> None:
        """Begin."""
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Return the seconds since the machine started."""
        return 1000.0 + self.seconds

    def time(self) -> float:
        """Return the seconds since 1970."""
        return _BEGIN.timestamp() + self.seconds

    def now(self, zone: tzinfo = UTC) -> datetime:
        """Return the date and time."""
        return (_BEGIN + timedelta(seconds=self.seconds)).astimezone(zone)

    def stamp(self) -> str:
        """Return the date and time as the API server writes it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    @contextmanager
    def rules(self) -> Iterator[None]:
        """Let the operator read this clock until the block ends."""
        with ExitStack() as stack:
            for module in (events, reconciler, world):
                stack.enter_context(patch.object(module, "time", self))
            for module in (events, reconciler):
                stack.enter_context(patch.object(module, "datetime", self))
            yield
