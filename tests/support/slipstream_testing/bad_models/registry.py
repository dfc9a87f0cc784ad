"""The corpus that the modules of this package fill."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream_testing.bad_programs import PROGRAMS

CORPUS: dict[str, tuple[Callable[[Path], bytes], str]] = dict(PROGRAMS)
"""By name: what makes the bytes, and words of the refusal."""


@dataclass(frozen=True)
class BadModel:
    """One bad file."""

    name: str
    make: Callable[[Path], bytes]
    words: str


def corpus() -> list[BadModel]:
    """Return every bad file."""
    return [BadModel(name, make, words) for name, (make, words) in CORPUS.items()]


def bad(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put what the decorated function makes (bytes, or an ONNX model) into the corpus."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(trap: Path) -> bytes:
            content = make(trap) if make.__code__.co_argcount else make()
            return content if isinstance(content, bytes) else content.SerializeToString()

        CORPUS[make.__name__] = (made, words)
        return make

    return register
