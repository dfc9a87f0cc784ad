"""The one place where tests poll: everything else waits for an event or for the answer of a bounded wait here."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

_POLL_SECONDS = 0.05


def eventually(
    question: Callable[[], Answer], timeout: float = 30.0, until: Callable[[Answer], object] = bool
) -> Answer:
    """Ask until the answer satisfies `until` (by default: is truthy) and return it; the error shows the last answer."""
    deadline = time.monotonic() + timeout
    while True:
        answer = question()
        if until(answer):
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not so within {timeout:g} s; the last answer was {answer!r}")
        time.sleep(_POLL_SECONDS)
