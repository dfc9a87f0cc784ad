"""Counts how often the gate passes candidates just above its bound, and candidates without any loss.

    python -m bench.gate [--trials 2000] [--processes 2]

A candidate just above the bound is drawn with a true loss 0.1 % larger than the margin, half of them over few items and
half over enough; one without loss over enough. The last line is `gate: ok ...` where, at 95 % confidence, at most 5 %
of all the bad ones pass and no family passes more than chance allows a 5 % event, and at least 80 % of the good ones
pass in every family; otherwise `gate: failed ...`, and the exit code is 1.
"""

import argparse
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bench.gate.families import FAMILIES, Family
from slipstream_builder.gate import verdicts
from slipstream_builder.validation import metrics

CONFIDENCE = 0.95
MOST_FALSE, LEAST_TRUE = 0.05, 0.80
ABOVE = 1.001
SEED = 2026
GOOD_SHARE = 0.2


@dataclass(frozen=True)
class Count:
    """How many candidates of the family at `index` passed: bad ones over few and over enough items, and good ones."""

    index: int
    trials: int
    false_few: int
    false_enough: int
    good: int
    true: int

    @property
    def family(self) -> Family:
        """The family."""
        return FAMILIES[self.index]

    @property
    def false(self) -> int:
        """The bad candidates that passed, of `trials`."""
        return self.false_few + self.false_enough


def passes(family: Family, items: int, loss: float, seed: tuple[int, ...]) -> bool:
    """Draw one candidate and return whether the gate passes it."""
    baseline, candidate = family.draw(np.random.default_rng(seed), items, loss)
    judged = verdicts.judge_accuracy(
        metrics.parse(family.metric), baseline, candidate, max_drop=family.max_drop, confidence=CONFIDENCE
    )
    return judged.verdict.passed


def count(index: int, trials: int) -> Count:
    """Return the counts of the family at `index`, over `trials` bad candidates and a fifth as many good ones."""
    family, half, good = FAMILIES[index], trials // 2, max(1, round(trials * GOOD_SHARE))
    bad = family.max_drop * ABOVE
    few = sum(passes(family, family.few, bad, (SEED, index, 0, trial)) for trial in range(half))
    enough = sum(passes(family, family.enough, bad, (SEED, index, 1, trial)) for trial in range(half))
    true = sum(passes(family, family.enough, 0.0, (SEED, index, 2, trial)) for trial in range(good))
    return Count(index, 2 * half, few, enough, good, true)


def most_by_chance(trials: int, families: int) -> int:
    """Return the most of `trials` that one of `families` 5 % events shows with 95 % probability."""
    limit = NormalDist().inv_cdf(1.0 - 0.05 / families)
    return math.floor(trials * MOST_FALSE + limit * math.sqrt(trials * MOST_FALSE * (1.0 - MOST_FALSE)) + 0.5)


def upper_share(events: int, trials: int) -> float:
    """Return Wilson's one-sided 95 % upper bound of a share (JASA 22, 1927)."""
    z = NormalDist().inv_cdf(0.95)
    share, shrink = events / trials, 1.0 + z * z / trials
    middle = share + z * z / (2.0 * trials)
    return (middle + z * math.sqrt(share * (1.0 - share) / trials + (z / (2.0 * trials)) ** 2)) / shrink


def failures(counts: list[Count]) -> list[str]:
    """Return what was not kept, in words."""
    limit = most_by_chance(counts[0].trials, len(counts))
    found = [
        f"{count.family.name!r} passed {count.false} of {count.trials} above the bound, chance explains {limit}"
        for count in counts
        if count.false > limit
    ]
    found += [
        f"{count.family.name!r} passed {count.true} of {count.good} without loss"
        for count in counts
        if count.true < LEAST_TRUE * count.good
    ]
    if upper_share(sum(c.false for c in counts), sum(c.trials for c in counts)) > MOST_FALSE:
        found.append("too many candidates above the bound passed over all families")
    return found


def table(counts: list[Count]) -> str:
    """Return the counts as a Markdown table."""
    lines = [
        "| family | metric | margin | items | passed just above the bound | enough items | just above | without loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in counts:
        half, family = row.trials / 2, row.family
        lines.append(
            f"| {family.name} | {family.metric} | {family.max_drop:.0%} | {family.few} | {row.false_few / half:.1%} | "
            f"{family.enough} | {row.false_enough / half:.1%} | {row.true / row.good:.1%} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run all families and print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=2000, help="bad candidates a family (default 2000)")
    parser.add_argument("--processes", type=int, default=2, help="processes to share the families (default 2)")
    arguments = parser.parse_args()
    if arguments.trials < 4 or arguments.processes < 1:
        parser.error("--trials must be at least 4 and --processes at least 1")
    started = time.monotonic()
    with ProcessPoolExecutor(arguments.processes) as pool:
        counts = list(pool.map(count, range(len(FAMILIES)), [arguments.trials] * len(FAMILIES)))
    print(table(counts))
    trials, good = sum(c.trials for c in counts), sum(c.good for c in counts)
    false, true = sum(c.false for c in counts), sum(c.true for c in counts)
    figures = (
        f"false_pass={false / trials:.4f} (at most {upper_share(false, trials):.4f} at 95 %, of {trials}; "
        f"worst family {max(c.false / c.trials for c in counts):.4f}) "
        f"true_pass={true / good:.4f} (worst family {min(c.true / c.good for c in counts):.4f}) "
        f"in {time.monotonic() - started:.0f} s"
    )
    missed = failures(counts)
    print(f"gate: failed {figures}: {'; '.join(missed)}" if missed else f"gate: ok {figures}")
    return 1 if missed else 0
