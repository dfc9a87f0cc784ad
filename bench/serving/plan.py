"""How long and how often to measure, and the figures collected on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.serving.results import CaseResult, Figure
from bench.shared.folders import BenchError
from bench.shared.machine import Steal, load_average, this_machine

Measure = Callable[["Plan", "Record"], None]


@dataclass(frozen=True)
class Plan:
    """Rounds, seconds of one load, of trying one setting and of the overload; `scratch` is an empty folder."""

    rounds: int
    seconds: int
    trial_seconds: int
    overload_seconds: int
    scratch: Path

    def longer(self, factor: int) -> "Plan":
        """Return the plan with longer trials."""
        return replace(self, trial_seconds=factor * self.trial_seconds)

    def once(self) -> "Plan":
        """Return the plan of a single round."""
        return replace(self, rounds=1)


@dataclass
class Record:
    """What a case has found so far."""

    figures: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, quantity: str, value: float) -> None:
        """Add the figure of a round."""
        self.figures.setdefault((contender, quantity), []).append(value)

    def fail(self, contender: str, error: BenchError) -> None:
        """Note why a contender cannot go on; the first reason stays."""
        reason = str(error).removeprefix(f"{contender}: ")
        self.failures.setdefault(contender, reason)
        say(f"{contender}: {reason}")


def run(name: str, measure: Measure, plan: Plan) -> CaseResult:
    """Return what `measure` found.

    Raises:
        BenchError: the case cannot be measured at all.
    """
    record, steal, load, begun = Record(), Steal(), load_average(), time.monotonic()
    measure(plan, record)
    return CaseResult(
        name=name,
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        seconds=time.monotonic() - begun,
        steal=steal.share(),
        load=load,
        machine=this_machine(),
        figures=tuple(Figure(*key, tuple(values)) for key, values in record.figures.items()),
        settings=record.settings,
        failures=record.failures,
    )


def say(words: str) -> None:
    """Print a line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)
