"""What this process may use of the machine: processors and memory, as its cgroup and affinity allow."""

import contextlib
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_SHARE_BYTES, _SHARE_FACTOR = 3 << 30, 6
"""A build holds at most this many bytes, and this many times the bytes of its model."""
_OWN_BYTES = 512 << 20
_WORKER_BYTES, _WORKER_FACTOR = 768 << 20, 12
"""What a candidate's process was measured to hold at most while it trains: torch, and so many times the model."""


def workers(threads: int, model_bytes: int, root: Path = _CGROUPS) -> int:
    """Return how many candidates of `threads` threads each can be built at a time, at least one."""
    by_processors = int(processors(root) // threads)
    room = min(memory_bytes(root), _SHARE_BYTES + _SHARE_FACTOR * model_bytes) - _OWN_BYTES
    by_memory = room // (_WORKER_BYTES + _WORKER_FACTOR * model_bytes)
    return max(1, min(by_processors, by_memory))


def processors(root: Path = _CGROUPS) -> float:
    """Return the processors this process may use, by its affinity and its cgroup's quota (v2 or v1)."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, period = _read(root / "cpu.max", "max 100000").split()[:2]
    if quota == "max":
        quota = _read(root / "cpu/cpu.cfs_quota_us", "-1")
        period = _read(root / "cpu/cpu.cfs_period_us", "100000")
    if int(quota) <= 0:
        return allowed
    return min(allowed, int(quota) / int(period))


def memory_bytes(root: Path = _CGROUPS) -> int:
    """Return the memory this process may use: what the machine has, or its cgroup's limit (v2 or v1) if less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read(root / "memory.max", "max")
    if limit == "max":
        limit = _read(root / "memory/memory.limit_in_bytes", str(machine))
    return min(machine, int(limit))


def _read(path: Path, otherwise: str) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip() or otherwise
    return otherwise
