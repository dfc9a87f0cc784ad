"""Carries progress out of the build, and the wish to stop into it."""

from collections.abc import Callable
from dataclasses import dataclass

from slipstream_contract.progress import Progress


class StoppedError(BaseException):
    """A signal asked the build to stop; not an Exception, so that no candidate's failure handling swallows it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


@dataclass
class StopRequest:
    """The signal that asked to stop, 0 for none; kept because a library may swallow the exception it raised."""

    signal_number: int = 0

    def handle(self, signal_number: int, _frame: object) -> None:
        """Remember the signal and end what runs now; a second signal adds nothing."""
        if not self.signal_number:
            self.signal_number = signal_number
            raise StoppedError(signal_number)

    def check(self) -> None:
        """Go on, unless a signal asked to stop.

        Raises:
            StoppedError: it did.
        """
        if self.signal_number:
            raise StoppedError(self.signal_number)


@dataclass(frozen=True)
class Reporter:
    """Says where the build stands, and ends it where a signal came."""

    emit: Callable[[Progress], None]
    clock: Callable[[], float]
    stop: StopRequest

    def step(self, name: str, fraction: float, message: str, remaining_seconds: float | None = None) -> None:
        """Report that `fraction` (0 to 1) of the step `name` is done, and the seconds to the build's end, if known."""
        self.stop.check()
        left = None if remaining_seconds is None else round(remaining_seconds, 1)
        self.emit(Progress(name, min(max(fraction, 0.0), 1.0), message, left))
