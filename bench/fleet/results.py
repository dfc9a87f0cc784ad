"""What was measured, what was promised, and the table of both."""

from dataclasses import dataclass
from pathlib import Path

from bench.shared.machine import Machine
from bench.shared.page import PAGE, rewrite
from bench.shared.results import write

FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Results:
    """One run; times in seconds, memory in MiB."""

    day: str
    agents: int
    pods: int
    all_ready: float
    converged: float
    memory: float
    idle: float
    idle_writes: int
    reconcile_p99: float
    turns: int
    failed_turns: int
    to_job: float
    machine: Machine


@dataclass(frozen=True)
class Promise:
    """One figure of a run and the most that it may be, in the same unit."""

    name: str
    value: float
    most: float
    words: str
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is not more."""
        return self.value <= self.most


def promises(found: Results) -> tuple[Promise, ...]:
    """Return what was promised of a run."""
    return (
        Promise("restart to converged", found.converged, 60, f"{found.converged:.1f} s", " s"),
        Promise("most memory", found.memory, 256, f"{found.memory:.0f} MiB", " MiB"),
        Promise(f"writes in {found.idle:.0f} idle seconds", found.idle_writes, 0, str(found.idle_writes)),
        Promise("reconcile, p99", found.reconcile_p99, 2, f"{found.reconcile_p99:.2f} s", " s"),
        Promise("apply to the first build Job", found.to_job, 1, f"{found.to_job:.2f} s", " s"),
    )


def line(found: Results) -> str:
    """Return the verdict in one line."""
    judged = promises(found)
    missed = [f"{one.name} {one.words}, not at most {one.most:g}" for one in judged if not one.kept]
    told = missed or [f"{one.name} {one.words}" for one in judged]
    verdict = "failed" if missed else "ok"
    return f"operator: {verdict} {found.agents} AgentDeployments, {found.pods} pods; {'; '.join(told)}"


def keep(found: Results) -> None:
    """Write results.json and the table."""
    write(found, FILE)
    rows = [
        f"| {one.name} | {one.words} | {one.most:g}{one.unit} | {'kept' if one.kept else 'missed'} |"
        for one in promises(found)
    ]
    table = [
        f"{found.agents:,} AgentDeployments, {found.pods:,} pods, {found.turns:,} turns of which {found.failed_turns} "
        f"failed; from the first `apply` to all Ready {found.all_ready:.0f} s.",
        "",
        "| what | measured | promised at most | |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Measured {found.day}: {found.machine.words()}",
    ]
    rewrite("make bench-operator", "\n".join(table), PAGE.with_name("reliability.md"))
