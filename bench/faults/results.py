"""What faults did, kept in results.json and written into docs/reliability.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.shared.page import PAGE, rewrite
from bench.shared.results import CaseResults
from slipstream_testing.faults.life import Trial

MOST_SECONDS = 10.0
"""How long after the end of a fault a stage may take to reach its end."""

MOST_CALLS = 500
"""More calls than this in a stage, which undisturbed has at most sixty, are a dead loop."""

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Case:
    """One kind of fault: how many trials, and how many of them ended otherwise, went on for ever or took too long."""

    name: str
    trials: int = 0
    diverged: int = 0
    looped: int = 0
    late: int = 0
    slowest_seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether all trials ended as they should."""
        return not (self.diverged or self.looped or self.late)


@dataclass(frozen=True)
class Results(CaseResults[Case]):
    """All kinds of faults that were tried."""

    cases: tuple[Case, ...] = ()


def case_of(name: str, trials: Sequence[Trial]) -> Case:
    """Sum up the trials of one kind of fault."""
    return Case(
        name,
        len(trials),
        diverged=sum(bool(trial.differences) for trial in trials),
        looped=sum(loops(trial) for trial in trials),
        late=sum(trial.seconds > MOST_SECONDS for trial in trials),
        slowest_seconds=round(max((trial.seconds for trial in trials), default=0.0), 2),
    )


def loops(trial: Trial) -> bool:
    """Whether the operator went on calling without end."""
    return trial.after > MOST_CALLS


def write_table(results: Results) -> None:
    """Write the table of all cases between the marks of the page."""
    lines = [
        "| fault | trials | ended otherwise | dead loops | later than 10 s | slowest recovery |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {case.name} | {case.trials} | {case.diverged} | {case.looped} | {case.late} "
            f"| {case.slowest_seconds:.1f} s |"
            for case in results.cases
        ),
    ]
    rewrite("make faults", "\n".join(lines), PAGE.with_name("reliability.md"))
