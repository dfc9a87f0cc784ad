"""The builder's progress, one JSON object a line on standard output, for a terminal view or a pod's log."""

from dataclasses import dataclass

from slipstream_contract import codec

PREFIX = "slipstream-progress "


@dataclass(frozen=True)
class Progress:
    """Where a build stands: the step's name, how much of it is done (0 to 1), and a line for people.

    `remaining_seconds` estimates the time to the end of the candidates, where there is an estimate.
    """

    step: str
    fraction: float
    message: str
    remaining_seconds: float | None = None

    def to_line(self) -> str:
        """Return the line to print, without a line end."""
        return PREFIX + codec.canonical_json(self).decode()

    @staticmethod
    def from_line(line: str) -> "Progress | None":
        """Return the progress in `line`, or None when the line is ordinary output."""
        if not line.startswith(PREFIX):
            return None
        return codec.decode_json(Progress, line[len(PREFIX) :], "progress line")
