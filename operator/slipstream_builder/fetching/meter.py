"""Puts a transfer's progress into words, with an estimate of what is left, and not too often."""

from collections.abc import Callable
from dataclasses import dataclass, field

Report = Callable[[float, str], None]
"""Hears the fraction (0 to 1) that is done, and where that stands in words."""

_INTERVAL = 2.0


@dataclass
class Meter:
    """Speaks to `report` at most every two seconds of `clock`."""

    report: Report
    clock: Callable[[], float]
    _start: float = field(init=False)
    _spoke: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self._spoke = self.clock()

    def __call__(self, done: int, total: int | None) -> None:
        """Take note that `done` bytes of `total` (None: unknown) are here."""
        now = self.clock()
        if now - self._spoke < _INTERVAL:
            return
        self._spoke = now
        if not total:
            self.report(0.0, f"{done / 1e6:.1f} MB so far, of unknown size")
            return
        left = (now - self._start) * (total - done) / done
        self.report(done / total, f"{done / 1e6:.1f} of {total / 1e6:.1f} MB, about {left:.0f} s left")
