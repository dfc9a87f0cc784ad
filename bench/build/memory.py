"""The memory of a process and all its descendants, sampled from /proc."""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

_SECONDS = 0.05
_PROC = Path("/proc")


class PeakMemory:
    """While entered, follows the tree of processes below `root`; `peak_bytes` is the most they held at once.

    A page that two of them share counts twice, and what lives shorter than 50 ms may be missed.
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
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, _tree(self._root))))


def _tree(root: int) -> list[int]:
    found = [root]
    for process in found:
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(process) / "task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (thread / "children").read_text().split())
    return found


def _resident_bytes(process: int) -> int:
    """Return the resident bytes, 0 when it has ended; VmRSS is in units of 1024 bytes."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(process) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    return 0
