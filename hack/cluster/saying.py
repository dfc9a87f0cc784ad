"""Tell the user how far things are, one line for each step."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message is one line that says what to do."""


def say(message: str) -> None:
    """Report progress on stderr: stdout carries only the answer."""
    print(f"cluster: {message}", file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say when the step is done, and the seconds it took."""
    began = time.monotonic()
    yield
    say(f"{title} ({time.monotonic() - began:.1f} s)")
