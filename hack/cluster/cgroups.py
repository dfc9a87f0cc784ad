"""Make and remove the cluster's cgroups: the only thing of it that does not go away with its first process."""

import errno
import time
from collections.abc import Iterator
from pathlib import Path

from layout import CGROUP
from saying import ClusterError

_REMOVE_SECONDS = 30
_POLL_SECONDS = 0.05


def create() -> None:
    """Make the cluster's cgroup in every hierarchy of this machine, version 1 or 2."""
    for hierarchy, kind in _hierarchies():
        if kind == "cgroup2":
            _delegate(hierarchy)
        cgroup = hierarchy / CGROUP
        cgroup.mkdir(exist_ok=True)
        for name in ("cpuset.mems", "cpuset.cpus"):  # empty at first in version 1, and no process may join then
            file = cgroup / name
            if file.exists() and not file.read_text().strip() and kind == "cgroup":
                file.write_text((hierarchy / name).read_text())


def remove() -> None:
    """Remove the cluster's cgroups, as soon as the last of its processes has left them; raises ClusterError."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for cgroup in existing():
        while not _remove_tree(cgroup):
            if time.monotonic() > deadline:
                raise ClusterError(f"{cgroup} still holds processes: end those in the files cgroup.procs below it")
            time.sleep(_POLL_SECONDS)


def existing() -> list[Path]:
    """The cluster's cgroup in each hierarchy that has it."""
    return [hierarchy / CGROUP for hierarchy, _ in _hierarchies() if (hierarchy / CGROUP).is_dir()]


def _hierarchies() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, target, kind, *_ = line.split()
        if kind in {"cgroup", "cgroup2"}:
            yield Path(target), kind


def _delegate(hierarchy: Path) -> None:
    """Let groups below the root be limited; controllers that version 1 holds are not offered here."""
    offered = (hierarchy / "cgroup.controllers").read_text().split()
    for controller in offered:
        (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_tree(cgroup: Path) -> bool:
    """Remove the group with all below it, the innermost first; False if a process is still in one of them."""
    try:
        folders = sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True)
        for folder in [*folders, cgroup]:
            folder.rmdir()
    except FileNotFoundError:
        return not cgroup.exists()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
