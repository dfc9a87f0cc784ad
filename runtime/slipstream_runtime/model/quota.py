"""What this process may use of the machine: its affinity, and its control groups' limits (version 1 or 2)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def processors(root: Path = ROOT, affinity: int | None = None) -> float:
    """Return the processors this process may use; a fraction where the quota is one.

    `affinity` is how many it may be scheduled on, asked of the system unless given.
    """
    limits = [float(affinity or _affinity())]
    limits += [found for level in _levels(root, "") if (found := _share(*_words(level / "cpu.max")))]
    for level in _levels(root, "cpu"):
        quota, period = _words(level / "cpu.cfs_quota_us"), _words(level / "cpu.cfs_period_us")
        if found := _share(*quota, *period):
            limits.append(found)
    return min(limits)


def memory_bytes(root: Path = ROOT) -> int:
    """Return the memory this process may use: the machine's, or its control group's limit if that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        for level in _levels(root, controller):
            limits += [int(word) for word in _words(level / name) if word.isdigit()]
    return min(limits)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def _share(quota: str = "max", period: str = "100000") -> float:
    """Return `quota` microseconds in each `period` as processors, zero for no limit ("max" or -1)."""
    if not (quota.isdigit() and period.isdigit() and int(period) > 0):
        return 0.0
    return int(quota) / int(period)


def _levels(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's groups, from its own up to the mount; an ancestor's limit holds too.

    `controller` is empty for the one tree of version 2. In a container without a namespace of its own the inner
    folders are not there, and reading them finds no limit.
    """
    mount = root / "sys/fs/cgroup" / controller
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            here = PurePosixPath("/" if ".." in path else path)
            yield from (mount / level.relative_to("/") for level in (here, *here.parents))


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
