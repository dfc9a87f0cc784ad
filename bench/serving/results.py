"""What was measured, as it is kept in results.json: one record a case, merged over runs."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.shared.machine import Machine
from bench.shared.results import CaseResults

FILE = Path(__file__).with_name("results.json")
BARE = "bare session"


@dataclass(frozen=True)
class Figure:
    """One quantity of one contender, in every round; its unit is part of the quantity's name."""

    contender: str
    quantity: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.rounds)


@dataclass(frozen=True)
class CaseResult:
    """One case: its figures, the settings chosen for each contender, and who failed with the reason.

    `steal` is the share of processor time that the hypervisor gave to others meanwhile, `load` the load average when
    the case began.
    """

    name: str
    day: str
    seconds: float
    steal: float
    load: float
    machine: Machine
    figures: tuple[Figure, ...]
    settings: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def figure(self, contender: str, quantity: str) -> Figure | None:
        """Return that figure, or None where it was not measured."""
        return next((f for f in self.figures if (f.contender, f.quantity) == (contender, quantity)), None)

    def median(self, contender: str, quantity: str) -> float | None:
        """Return the figure's middle round, or None where it was not measured."""
        found = self.figure(contender, quantity)
        return found.median if found else None

    def ratio(self, contender: str, other: str, quantity: str) -> float | None:
        """Return the median over rounds of `contender` over `other`, or None where either is missing."""
        ours, theirs = self.figure(contender, quantity), self.figure(other, quantity)
        if ours is None or theirs is None:
            return None
        pairs = zip(ours.rounds, theirs.rounds, strict=False)
        return median(mine / its for mine, its in pairs)


@dataclass(frozen=True)
class Results(CaseResults[CaseResult]):
    """All cases measured so far."""

    cases: tuple[CaseResult, ...] = ()
