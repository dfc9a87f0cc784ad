"""Whether the replicas' memory stays flat."""

import contextlib
import statistics
from collections.abc import Sequence
from pathlib import Path

LEVEL_REQUESTS = 1_000_000
"""How many requests a replica has answered when all its pools are full."""

WINDOW_REQUESTS = 5_000_000
"""Memory is judged over the last so many requests."""

MOST_GROWTH = 0.01
SHARE = 10
"""The first and the last tenth of the samples are compared: a median of many is no chance peak."""


class Memory:
    """What each replica held over time, one sample a second, from when its pools were full."""

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes
        self._samples: list[tuple[int, list[int]]] = []

    def sample(self, answered: int) -> None:
        """Look at the replicas once; they have `answered` so many requests since they started."""
        if answered >= LEVEL_REQUESTS:
            self._samples.append((answered, [own_bytes(process) for process in self._processes]))

    @property
    def requests(self) -> int:
        """Return over how many requests memory is judged."""
        window = self._window()
        return window[-1][0] - window[0][0] if window else 0

    @property
    def growth(self) -> float | None:
        """The largest share by which a replica grew between the medians of both ends; None with too few samples."""
        window = self._window()
        if len(window) < 2 * SHARE:
            return None
        return max(_growth([held[index] for _, held in window]) for index in range(len(self._processes)))

    def _window(self) -> list[tuple[int, list[int]]]:
        last = self._samples[-1][0] if self._samples else 0
        return [sample for sample in self._samples if sample[0] >= last - WINDOW_REQUESTS]


def _growth(series: list[int]) -> float:
    tenth = len(series) // SHARE
    return statistics.median(series[-tenth:]) / max(1.0, statistics.median(series[:tenth])) - 1


def own_bytes(process: int) -> int:
    """Return the bytes of `process` that are its own, swapped ones included; 0 when it has ended.

    Anonymous pages are its heap, stacks and arenas, whether in memory or in swap. Pages of files (libraries, the
    model) are left out: they come and go with what else the machine runs, and the process cannot leak them.
    """
    found = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Anonymous:", "Swap:")):
                found += int(line.split()[1]) << 10
    return found
