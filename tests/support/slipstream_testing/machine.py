"""What a cluster could leave behind on this machine: mounts, interfaces, routes, firewall rules, cgroups, processes."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The traces that can be compared before and after."""

    mounts: tuple[str, ...]
    interfaces: tuple[str, ...]
    routes: tuple[str, ...]
    firewall_rules: tuple[str, ...]
    cgroups: tuple[str, ...]


def machine_now() -> Machine:
    """The machine's traces, as root outside of any cluster sees them."""
    rules = subprocess.check_output(["iptables-save"], text=True).splitlines()
    return Machine(
        mounts=tuple(Path("/proc/self/mounts").read_text().splitlines()),
        interfaces=tuple(sorted(path.name for path in Path("/sys/class/net").iterdir())),
        routes=tuple(subprocess.check_output(["ip", "route"], text=True).splitlines()),
        firewall_rules=tuple(rule for rule in rules if rule.startswith("-")),
        cgroups=tuple(sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/slipstream*"))),
    )


@dataclass(frozen=True)
class Process:
    """A process, told from later ones with the same id by its start (clock ticks since the machine's)."""

    process_id: int
    started: str


def processes_of(first: int) -> list[Process]:
    """This process, all below it, and its parent, which made its namespaces."""
    stats = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    children: dict[int, list[int]] = {}
    for one, fields in stats.items():
        if fields:
            children.setdefault(int(fields[1]), []).append(one)
    family = [int(stats[first][1]), first]
    to_look_at = [first]
    while to_look_at:
        below = children.get(to_look_at.pop(), [])
        family += below
        to_look_at += below
    return [Process(one, stats[one][19]) for one in family]


def alive(processes: list[Process]) -> list[Process]:
    """Those that have not ended."""
    return [one for one in processes if (fields := _stat(one.process_id)) and fields[19] == one.started]


def _stat(process_id: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); none if it has ended."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] == "Z" else fields
