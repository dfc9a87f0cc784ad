"""Times ways to run one model in turn, so that what disturbs one disturbs all."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from slipstream_runtime.protocol.signature import Tensors

Run = Callable[[Tensors], Tensors]
Clock = Callable[[], float]


def seconds_in_turn(
    runs: Mapping[str, Run], tensors: Tensors, rounds: int = 15, clock: Clock = time.perf_counter
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each of `rounds` batches for each way, all ways once a round, after two to warm up."""
    for run in runs.values():
        run(tensors)
        run(tensors)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begun = clock()
            run(tensors)
            seconds[name].append(clock() - begun)
    return {name: tuple(found) for name, found in seconds.items()}


def ratio(seconds: Mapping[str, tuple[float, ...]], name: str, baseline: str) -> float:
    """Return how many times faster `name` is than `baseline`: the median over rounds of the paired ratios."""
    pairs = zip(seconds[baseline], seconds[name], strict=True)
    return statistics.median(slow / fast for slow, fast in pairs)


def difference(found: Tensors, expected: Tensors) -> float:
    """Return the largest difference of any output, relative to the range of the expected one."""
    worst = 0.0
    for ours, theirs in zip(found, expected, strict=True):
        spread = max(float(np.ptp(theirs)), float(np.abs(theirs).max()), 1e-9)
        worst = max(worst, float(np.abs(ours.astype(np.float64) - theirs).max()) / spread)
    return worst
