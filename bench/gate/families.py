"""Families of synthetic candidates: paired per-item scores of an original and of a candidate with a known true loss.

They are chosen against the gate: losses in few items or spread thin, among the best items only, hidden under noise or
under gains; scores with spikes, with heavy tails, with negative means; statistics of unbalanced classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from slipstream_builder.arrays import Array, Scores
from slipstream_builder.validation import influence

Generator = np.random.Generator
Pairs = tuple[Scores, Scores]
Draw = Callable[[Generator, int, float], Pairs]

DISCOUNTS = 1.0 / np.log2(np.arange(2, 12))


@dataclass(frozen=True)
class Family:
    """Candidates of one kind: `draw(generator, items, loss)` gives the scores of original and candidate, [items] each.

    `few` items is a hard case for honesty; `enough` items decide for a candidate without loss.
    """

    name: str
    metric: str
    max_drop: float
    few: int
    enough: int
    draw: Draw


def spread_thin(generator: Generator, items: int, loss: float) -> Pairs:
    """Every item loses a little, under noise; three in ten score 0."""
    base = generator.beta(0.6, 1.5, items) * (generator.random(items) < 0.7)
    return base, base * (1.0 - loss) + generator.normal(0.0, 0.03, items) * (base > 0)


def tenth_moved(generator: Generator, items: int, loss: float) -> Pairs:
    """A tenth of the items moves much, up and down."""
    base = generator.beta(0.6, 1.5, items) * (generator.random(items) < 0.7)
    moved = base * (1.0 - 10.0 * loss + generator.normal(0.0, 0.3, items))
    return base, np.where(generator.random(items) < 0.1, moved, base)


def total_failures(generator: Generator, items: int, loss: float) -> Pairs:
    """A small share of the items loses everything, and no other changes."""
    base = generator.beta(2.0, 2.0, items)
    return base, np.where(generator.random(items) < loss, 0.0, base)


def failures_of_the_best(generator: Generator, items: int, loss: float) -> Pairs:
    """Only items that scored well fail, and then they lose everything; the others move by rounding."""
    best = generator.random(items) < 0.2
    base = np.where(best, generator.uniform(0.9, 1.0, items), generator.uniform(0.0, 0.4, items))
    share_of_best = 0.2 * 0.95 / (0.2 * 0.95 + 0.8 * 0.2)
    failed = best & (generator.random(items) < loss / share_of_best)
    return base, np.where(failed, 0.0, base * (1.0 + generator.normal(0.0, 0.005, items)))


def gains_and_losses(generator: Generator, items: int, loss: float) -> Pairs:
    """A fifth of the items gains or loses 30 %, and all lose a little."""
    base = generator.beta(2.0, 2.0, items)
    moved = (generator.random(items) < 0.2) * generator.choice([-0.3, 0.3], items)
    return base, base * (1.0 - loss + moved)


def ranks(churn: float) -> Draw:
    """NDCG@10 of one relevant thing: some fall out of the ten, as many come in, and the loss falls out as well."""

    def draw(generator: Generator, items: int, loss: float) -> Pairs:
        hit = generator.random(items) < 0.45
        base = np.where(hit, DISCOUNTS[generator.integers(0, 10, items)], 0.0)
        falls = generator.random(items) < churn + loss
        comes = generator.random(items) < churn * 0.45 / 0.55
        found = np.where(comes, DISCOUNTS[generator.integers(0, 10, items)], 0.0)
        return base, np.where(hit, np.where(falls, 0.0, base), found)

    return draw


def answers(right: float, churn: float) -> Draw:
    """Right and wrong answers; `churn` of the items change for better, and as many and the loss for worse."""

    def draw(generator: Generator, items: int, loss: float) -> Pairs:
        base, roll = generator.random(items) < right, generator.random(items)
        candidate = np.where(base, roll >= churn / right + loss, roll < churn / (1.0 - right) if right < 1.0 else False)
        return base.astype(np.float64), candidate.astype(np.float64)

    return draw


def skewed_errors(sigma: float) -> Draw:
    """Log-normal errors, each multiplied by a log-normal factor of mean 1 + loss."""

    def draw(generator: Generator, items: int, loss: float) -> Pairs:
        base = generator.lognormal(0.0, sigma, items)
        return base, base * (1.0 + loss) * generator.lognormal(-0.5 * 0.1**2, 0.1, items)

    return draw


def few_errors_grow(generator: Generator, items: int, loss: float) -> Pairs:
    """One error in fifty grows, by factors that are log-normal themselves."""
    base = generator.lognormal(0.0, 0.5, items)
    grown = (generator.random(items) < 0.02) * generator.lognormal(-0.5, 1.0, items)
    return base, base * (1.0 + 50.0 * loss * grown)


def student_squares(generator: Generator, items: int, loss: float) -> Pairs:
    """Squared errors of Student's t with 5 degrees of freedom, to which the candidate adds noise of its own."""
    error = generator.standard_t(5, items)
    return error**2, (error + generator.normal(0.0, math.sqrt(loss * 5.0 / 3.0), items)) ** 2


def student_errors(generator: Generator, items: int, loss: float) -> Pairs:
    """Absolute errors of Student's t with 3 degrees of freedom, one in twenty changed by up to several times itself."""
    base = np.abs(generator.standard_t(3, items))
    changed = (generator.random(items) < 0.05) * (generator.exponential(1.0, items) - 1.0)
    return base, base * (1.0 + loss + changed)


def returns_with_crashes(generator: Generator, items: int, loss: float) -> Pairs:
    """Episodes that mostly succeed; the candidate crashes in a few more, from 240 to -100."""
    base = generator.normal(240.0, 30.0, items)
    return base, np.where(generator.random(items) < loss * 240.0 / 340.0, -100.0, base)


def noisy_returns(generator: Generator, items: int, loss: float) -> Pairs:
    """Episodes of two kinds, in which the candidate takes other ways."""
    base = np.where(
        generator.random(items) < 0.85, generator.normal(240.0, 30.0, items), generator.normal(-100.0, 80.0, items)
    )
    return base, base + generator.normal(0.0, 40.0, items) - loss * (0.85 * 240.0 - 0.15 * 100.0)


def negative_returns(generator: Generator, items: int, loss: float) -> Pairs:
    """Episodes that only cost: a mean of -150, skewed."""
    base = -generator.gamma(2.0, 75.0, items)
    return base, base + generator.normal(0.0, 20.0, items) - loss * 150.0


def areas(positive: float) -> Draw:
    """AUC of normal scores, of which a share is positive; the candidate's scores correlate by 0.995."""

    def draw(generator: Generator, items: int, loss: float) -> Pairs:
        labels = _labels(generator, items, positive)
        area = NormalDist().cdf(1.5 / math.sqrt(2.0))
        distance = NormalDist().inv_cdf(area * (1.0 - loss)) * math.sqrt(2.0)
        noise = generator.normal(size=items)
        other = 0.995 * noise + math.sqrt(1.0 - 0.995**2) * generator.normal(size=items)
        return influence.auc(noise + 1.5 * labels, labels), influence.auc(other + distance * labels, labels)

    return draw


def f_measures(positive: float, churn: float) -> Draw:
    """F1 of predictions with recall 0.8 and as many false alarms as misses, of which a part is found no more."""

    def draw(generator: Generator, items: int, loss: float) -> Pairs:
        labels = _labels(generator, items, positive)
        alarm = 0.2 * positive / (1.0 - positive)
        before = np.where(labels == 1, generator.random(items) < 0.8, generator.random(items) < alarm)
        # F = 2 r / (1 + r + 0.2) with recall r: 0.8 gives 0.8, and the lost share of it leaves this recall.
        recall = 1.2 * 0.8 * (1.0 - loss) / (2.0 - 0.8 * (1.0 - loss))
        lost = generator.random(items) < 1.0 - recall / 0.8 + churn
        won = generator.random(items) < churn * 0.8 / 0.2
        after = np.where(labels == 1, np.where(before, ~lost, won), before)
        said, then = before.astype(np.int64), after.astype(np.int64)
        return influence.f1(said, labels, said), influence.f1(then, labels, said)

    return draw


def _labels(generator: Generator, items: int, positive: float) -> Array:
    """Return labels with at least two of each class."""
    labels = (generator.random(items) < positive).astype(np.int64)
    labels[:4] = [0, 1, 0, 1]
    return labels


FAMILIES = (
    Family("loss spread thin", "ndcg@10", 0.02, 600, 2000, spread_thin),
    Family("a tenth moved", "ndcg@10", 0.02, 600, 2000, tenth_moved),
    Family("total failures", "ndcg@10", 0.02, 300, 600, total_failures),
    Family("failures of the best", "ndcg@10", 0.02, 300, 900, failures_of_the_best),
    Family("gains and losses", "ndcg@10", 0.02, 600, 1500, gains_and_losses),
    Family("ranks, 2 % churn", "ndcg@10", 0.02, 1000, 6000, ranks(0.02)),
    Family("ranks, rare", "ndcg@10", 0.02, 700, 2000, ranks(0.0)),
    Family("answers, 2 % churn", "accuracy", 0.02, 600, 2500, answers(0.8, 0.02)),
    Family("answers, 97 % right", "accuracy", 0.01, 1000, 3000, answers(0.97, 0.002)),
    Family("answers, 10 % right", "hit-rate@10", 0.02, 1600, 2500, answers(0.1, 0.0)),
    Family("agreement", "agreement", 0.01, 400, 2000, answers(1.0, 0.0)),
    Family("log-normal errors", "mae", 0.02, 150, 2000, skewed_errors(1.0)),
    Family("heavier errors", "mse", 0.02, 300, 9000, skewed_errors(1.5)),
    Family("few errors grow", "mae", 0.02, 600, 2000, few_errors_grow),
    Family("squares of t5", "mse", 0.02, 600, 2000, student_squares),
    Family("errors of t3", "mae", 0.03, 600, 6000, student_errors),
    Family("returns with crashes", "return", 0.02, 300, 600, returns_with_crashes),
    Family("noisy returns", "return", 0.05, 400, 1000, noisy_returns),
    Family("negative returns", "return", 0.05, 300, 2000, negative_returns),
    Family("auc, balanced", "auc", 0.02, 600, 2000, areas(0.5)),
    Family("auc, 5 % positive", "auc", 0.02, 4000, 6000, areas(0.05)),
    Family("f1, 30 % positive", "f1", 0.02, 1000, 4000, f_measures(0.3, 0.005)),
    Family("f1, 5 % positive", "f1", 0.02, 3000, 8000, f_measures(0.05, 0.0)),
)
