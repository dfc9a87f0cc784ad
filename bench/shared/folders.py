"""Where the benchmarks keep what they download, make and install: outside the tree."""

import os
from pathlib import Path


class BenchError(Exception):
    """The benchmark cannot go on; the message is one line for a person."""


def root() -> Path:
    """Return the folder of everything that is kept."""
    return Path(os.environ.get("SLIPSTREAM_CACHE") or str(Path.home() / ".cache" / "slipstream"))


def cache_folder() -> Path:
    """Return the folder that keeps downloads, models and builds."""
    return root() / "bench"
