"""The one-sided bound keeps its confidence for F1 and AUC, whose items are pseudo-values."""

import math

import numpy as np
import pytest

from slipstream_builder.gate import bounds
from slipstream_builder.validation import influence

TRIALS, CONFIDENCE = 300, 0.95
# The fewest of 300 that a 95 % event shows with 99.9 % probability.
FEWEST_COVERED = math.floor(TRIALS * CONFIDENCE - 3.09 * math.sqrt(TRIALS * CONFIDENCE * (1 - CONFIDENCE)))


def answers(generator, items):
    """Yes and no; the candidate changes answers of both kinds."""
    labels = (generator.random(items) < 0.4).astype(int)
    source = np.where(generator.random(items) < 0.88, labels, 1 - labels)
    lost = generator.random(items) < np.where(source == labels, 0.03, 0.06)
    return labels, source, np.where(lost, 1 - source, source)


def lost_positives(generator, items):
    """A few positives are lost and nothing else changes: the hardest loss to see."""
    labels = (generator.random(items) < 0.3).astype(int)
    source = np.where(generator.random(items) < 0.93, labels, 1 - labels)
    return labels, source, np.where((labels == 1) & (generator.random(items) < 0.02), 0, source)


def uneven_classes(generator, items):
    """Five classes; the rarest is 5 % of the items."""
    labels = generator.choice(5, size=items, p=(0.4, 0.3, 0.15, 0.1, 0.05))
    source = np.where(generator.random(items) < 0.85, labels, generator.integers(0, 5, items))
    return labels, source, np.where(generator.random(items) < 0.04, generator.integers(0, 5, items), source)


def noisy_scores(generator, items):
    """Rare positives; every score moves a little."""
    labels = (generator.random(items) < 0.15).astype(int)
    source = generator.standard_normal(items) + 1.5 * labels
    return labels, source, source + 0.3 * generator.standard_normal(items)


def collapsed_scores(generator, items):
    """A few positives fall to the bottom and no other score moves."""
    labels = (generator.random(items) < 0.3).astype(int)
    source = generator.standard_normal(items) + 3.0 * labels
    return labels, source, np.where((labels == 1) & (generator.random(items) < 0.01), -9.0, source)


def f1(labels, source, candidate):
    return influence.f1(source, labels, source), influence.f1(candidate, labels, source)


def auc(labels, source, candidate):
    return influence.auc(source, labels), influence.auc(candidate, labels)


@pytest.mark.parametrize(
    ("statistic", "draw", "items"),
    [
        (f1, answers, 600),
        (f1, lost_positives, 1000),
        (f1, uneven_classes, 800),
        (auc, noisy_scores, 800),
        (auc, collapsed_scores, 1000),
    ],
)
def test_the_bound_lies_above_the_true_loss_in_ninety_five_percent(statistic, draw, items):
    before, after = statistic(*draw(np.random.default_rng(1), 1_000_000))
    true = bounds.relative_drop(before, after, higher_is_better=True)
    covered = 0
    for trial in range(TRIALS):
        pairs = statistic(*draw(np.random.default_rng([2026, trial]), items))
        covered += bounds.drop_bound(*pairs, higher_is_better=True, confidence=CONFIDENCE) >= true
    assert covered >= FEWEST_COVERED
