"""Measures latency: sessions take turns within every round, so that noise hits them alike."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from slipstream_builder.arrays import Rows, count, take
from slipstream_builder.measuring.latency import Timing, compare, fit
from slipstream_builder.sessions import Session, run
from slipstream_contract.manifest import LatencyCurve

BATCHES = (1, 2, 4, 8, 16, 32, 64)
BENCHMARK_BATCHES = (1, 32)

_MIN_ROUNDS, _MAX_ROUNDS = 9, 41
_ROUND_SECONDS = 0.002
_SESSION_SECONDS = 2.0

_ATTEMPTS = 4
_UNDISTURBED = 0.9

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timer:
    """A clock, and the processor time of this process, which tells when others took the processor away.

    `processor` is None where a run rightly waits, as for a GPU.
    """

    clock: Clock
    processor: Clock | None


@dataclass(frozen=True)
class Profile:
    """Per session name and batch size, the seconds of one run in each round; rounds are paired across sessions."""

    rounds: Mapping[str, Mapping[int, list[float]]]

    def curve(self, name: str) -> LatencyCurve:
        """Return the latency curve fitted to the medians of `name`."""
        return fit({batch: median(values) for batch, values in self.rounds[name].items()})

    def timings(self, name: str, baseline: str) -> tuple[Timing, ...]:
        """Return `name` against `baseline` at the benchmark batches."""
        mine, theirs = self.rounds[name], self.rounds[baseline]
        return tuple(compare(batch, mine[batch], theirs[batch]) for batch in BENCHMARK_BATCHES)


def measure(sessions: Mapping[str, Session], rows: Rows, timer: Timer, batches: tuple[int, ...] = BATCHES) -> Profile:
    """Time every session at each of `batches`, on `rows` repeated as often as a batch needs.

    A round goes once over all batch sizes and sessions, so that a burst of noise spoils one round of each, not all
    rounds of one.
    """
    feeds = {batch: take(rows, np.arange(batch) % count(rows)) for batch in batches}
    turns = [(name, batch) for batch in batches for name in sessions]
    once = {
        (name, batch): min(_time(sessions[name], feeds[batch], 1, timer) for _ in range(2)) for name, batch in turns
    }
    repeats = {turn: max(1, int(_ROUND_SECONDS / max(seconds, 1e-7))) for turn, seconds in once.items()}
    one_round = sum(max(seconds, _ROUND_SECONDS) for seconds in once.values())
    rounds = min(_MAX_ROUNDS, max(_MIN_ROUNDS, int(_SESSION_SECONDS * len(sessions) / one_round)))
    values: dict[str, dict[int, list[float]]] = {name: {batch: [] for batch in batches} for name in sessions}
    for order in itertools.islice(itertools.cycle([turns, turns[::-1]]), rounds):
        for name, batch in order:
            seconds = _time(sessions[name], feeds[batch], repeats[name, batch], timer)
            values[name][batch].append(seconds)
    return Profile(values)


def _time(session: Session, feed: Rows, repeats: int, timer: Timer) -> float:
    """Return the seconds of one run; where the process had to share its processor, the best of a few attempts."""
    best = float("inf")
    for _ in range(_ATTEMPTS):
        start, worked = timer.clock(), timer.processor() if timer.processor else 0.0
        for _ in range(repeats):
            run(session, feed)
        seconds = timer.clock() - start
        best = min(best, seconds)
        if timer.processor is None or timer.processor() - worked >= _UNDISTURBED * seconds:
            break
    return best / repeats
