"""Measures latency: sessions take turns within every round, so that noise hits them alike."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from slipstream_builder.arrays import Rows, count, take
from slipstream_builder.gate import Timing
from slipstream_builder.latency import compare, fit
from slipstream_builder.sessions import Session, run
from slipstream_contract.manifest import LatencyCurve

BATCHES = (1, 2, 4, 8, 16, 32, 64)
BENCHMARK_BATCHES = (1, 32)

_MIN_ROUNDS, _MAX_ROUNDS = 9, 25
_ROUND_SECONDS = 0.002
_BATCH_SECONDS = 0.5

Clock = Callable[[], float]


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


def measure(sessions: Mapping[str, Session], rows: Rows, clock: Clock) -> Profile:
    """Time every session at every batch size, on `rows` repeated as often as a batch needs."""
    rounds: dict[str, dict[int, list[float]]] = {name: {} for name in sessions}
    for batch in BATCHES:
        feed = take(rows, np.arange(batch) % count(rows))
        for name, values in _interleaved(sessions, feed, clock).items():
            rounds[name][batch] = values
    return Profile(rounds)


def _interleaved(sessions: Mapping[str, Session], feed: Rows, clock: Clock) -> dict[str, list[float]]:
    single = {name: min(_time(session, feed, 1, clock) for _ in range(3)) for name, session in sessions.items()}
    repeats = {name: max(1, int(_ROUND_SECONDS / max(seconds, 1e-7))) for name, seconds in single.items()}
    one_round = sum(max(seconds, _ROUND_SECONDS) for seconds in single.values())
    rounds = min(_MAX_ROUNDS, max(_MIN_ROUNDS, int(_BATCH_SECONDS * len(sessions) / one_round)))
    values: dict[str, list[float]] = {name: [] for name in sessions}
    order = itertools.cycle([list(sessions), list(sessions)[::-1]])
    for names in itertools.islice(order, rounds):
        for name in names:
            values[name].append(_time(sessions[name], feed, repeats[name], clock))
    return values


def _time(session: Session, feed: Rows, repeats: int, clock: Clock) -> float:
    start = clock()
    for _ in range(repeats):
        run(session, feed)
    return (clock() - start) / repeats
