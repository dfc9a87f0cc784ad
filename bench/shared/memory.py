"""The memory of a process and all its descendants, sampled from /proc."""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

_SECONDS = 0.1
_PROC = Path("/proc")


class PeakMemory:
    """While entered, follows the tree of processes below `root`; `peak_bytes` is the most they held at once.

    A page that several of them share counts once (proportional set sizes); what lives under 100 ms may be missed.
    """

    def __init__(self, root: int) -> None:
        self.peak_bytes = 0
        self._root = root
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._end.wait(_SECONDS):
            self.peak_bytes = max(self.peak_bytes, held_bytes(self._root))


def held_bytes(root: int) -> int:
    """Return the bytes that the process `root` and its descendants hold; a shared page counts once."""
    return sum(map(_held_bytes, _tree(root)))


def _tree(root: int) -> list[int]:
    found = [root]
    for process in found:
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(process) / "task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (thread / "children").read_text().split())
    return found


def _held_bytes(process: int) -> int:
    """Return the bytes it holds, 0 when it has ended; Pss is in units of 1024 bytes."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(process) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0
