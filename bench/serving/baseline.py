"""Runs the bare session in a process of its own, for its speed and its memory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.serving.models import Model
from bench.shared.folders import BenchError
from bench.shared.memory import held_bytes

_TREE = Path(__file__).parents[2]
_TAIL_SECONDS = 60


@dataclass(frozen=True)
class Bare:
    """The rows a second of a loop of runs, the median seconds of one, and the bytes its process holds."""

    rows_per_second: float
    seconds: float
    held_bytes: int


def run(model: Model, batch: int, seconds: float, scratch: Path) -> Bare:
    """Return the figures of the bare session at one batch size.

    Raises:
        BenchError: it failed.
    """
    inputs = scratch / f"{model.name}-inputs.npz"
    np.savez(inputs, allow_pickle=False, **model.requests[0])
    command = [sys.executable, "-m", "bench.serving.bare", str(model.file), str(inputs), "--hold"]
    with _process([*command, "--batch", str(batch), "--seconds", str(seconds)]) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise BenchError("the bare session failed; its own message is above")
        return Bare(**json.loads(line), held_bytes=held_bytes(process.pid))


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_TREE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=_TAIL_SECONDS)
