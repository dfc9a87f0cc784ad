"""Whether the replicas' memory stays flat."""

import contextlib
import statistics
from collections.abc import Sequence
from pathlib import Path

SHARE = 10
"""The first and the last tenth of the samples are compared."""


class Memory:
    """What each replica held over time, one sample a second, from when its pools were full."""

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes
        self._series: dict[int, list[int]] = {process: [] for process in processes}

    def sample(self) -> None:
        """Look at the replicas once."""
        for process in self._processes:
            self._series[process].append(own_bytes(process))

    @property
    def growth(self) -> float | None:
        """The largest share by which a replica grew between the medians of both ends; None with too few samples."""
        if any(len(series) < 2 * SHARE for series in self._series.values()):
            return None
        return max(map(_growth, self._series.values()))


def _growth(series: list[int]) -> float:
    tenth = len(series) // SHARE
    return statistics.median(series[-tenth:]) / max(1.0, statistics.median(series[:tenth])) - 1


def own_bytes(process: int) -> int:
    """Return the bytes of `process` that are its own, swapped ones included; 0 when it has ended.

    File pages are left out: they come and go with what else the machine runs.
    """
    found = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Anonymous:", "Swap:")):
                found += int(line.split()[1]) << 10
    return found
