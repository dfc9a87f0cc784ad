"""The machine that something was measured on, and how quiet it was."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from slipstream_builder.measuring import machine


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    processor: str
    cores: int
    memory_bytes: int
    features: tuple[str, ...]
    system: str
    tools: dict[str, str]

    def words(self) -> str:
        """Return the machine and its tools in one line."""
        tools = ", ".join(f"{name} {version}" for name, version in self.tools.items())
        memory = f"{self.memory_bytes / 2**30:.0f} GiB"
        return f"{self.processor}, {self.cores} cores, {memory}, {', '.join(self.features)}; {self.system}; {tools}."


def this_machine() -> Machine:
    """Return a description of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()
    return Machine(
        processor=names[0] if names else platform.processor(),
        cores=len(names),
        memory_bytes=int(memory[1]) << 10,
        features=machine.cpu_features(),
        system=f"{platform.system()} {platform.release()}",
        tools=machine.tool_versions(),
    )


def load_average() -> float:
    """Return how many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


class Steal:
    """The share of processor time, since it was made, that the hypervisor gave to others."""

    def __init__(self) -> None:
        self._begun = _ticks()

    def share(self) -> float:
        """Return the share, 0 to 1."""
        spent = [now - before for now, before in zip(_ticks(), self._begun, strict=True)]
        return spent[7] / max(1, sum(spent))


def _ticks() -> list[int]:
    """Return user, nice, system, idle, iowait, irq, softirq and steal time of all cores together, in ticks."""
    return list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
