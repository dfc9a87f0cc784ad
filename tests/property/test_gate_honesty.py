"""The gate's promises over many synthetic candidates: what is too bad rarely passes, what is as good mostly does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream_builder.gate import bounds, verdicts
from slipstream_builder.validation import metrics

NDCG, ACCURACY = metrics.parse("ndcg@10"), metrics.parse("accuracy")
TRIALS, CONFIDENCE, MAX_DROP = 500, 0.95, 0.02
# The most of 500 that a 5 % event shows with 99.9 % probability.
MOST_FALSE_PASSES = 25 + math.ceil(3.09 * math.sqrt(TRIALS * 0.05 * 0.95))


def passes(metric, baseline, candidate, seed=0):
    return verdicts.judge_accuracy(
        metric, baseline, candidate, max_drop=MAX_DROP, confidence=CONFIDENCE, seed=seed
    ).verdict.passed


def ranking_pairs(generator, items, loss):
    """Skewed scores with many zeros; a tenth of the items moves much, so that the true relative loss is `loss`."""
    base = generator.beta(0.6, 1.5, items) * (generator.random(items) < 0.7)
    moved = generator.random(items) < 0.1
    return base, np.where(moved, base * (1 - 10 * loss + generator.normal(0, 0.3, items)), base)


def sparse_pairs(generator, items, loss):
    """Scores where a small share of the items loses everything and no other changes: the hardest loss to see."""
    base = generator.beta(2, 2, items)
    return base, np.where(generator.random(items) < loss, 0.0, base)


def answer_pairs(generator, items, loss, right=0.8, churn=0.02):
    """Right and wrong answers; `churn` of the items change for better, and as many and the loss for worse."""
    base = generator.random(items) < right
    lost, gained = (churn + loss * right) / right, churn / (1 - right)
    roll = generator.random(items)
    candidate = np.where(base, roll >= lost, roll < gained)
    return base.astype(float), candidate.astype(float)


@pytest.mark.parametrize(
    ("metric", "pairs", "items"),
    [(NDCG, ranking_pairs, 600), (NDCG, sparse_pairs, 400), (ACCURACY, answer_pairs, 600)],
)
def test_a_loss_just_above_the_bound_passes_in_at_most_five_percent(metric, pairs, items):
    generator = np.random.default_rng(2026)
    passed = sum(passes(metric, *pairs(generator, items, MAX_DROP * 1.001), seed) for seed in range(TRIALS))
    assert passed <= MOST_FALSE_PASSES


@pytest.mark.parametrize(
    ("metric", "pairs", "items"),
    [(NDCG, ranking_pairs, 1800), (NDCG, sparse_pairs, 400), (ACCURACY, answer_pairs, 1500)],
)
def test_no_loss_passes_in_at_least_eighty_percent_with_enough_items(metric, pairs, items):
    generator = np.random.default_rng(7)
    trials = 50
    passed = sum(passes(metric, *pairs(generator, items, 0.0), seed) for seed in range(trials))
    assert passed >= 0.8 * trials


scores = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(scores, st.floats(0.0, 0.5))
def test_the_bound_never_promises_more_than_what_was_observed(values, loss):
    base = np.array(values)
    judged = verdicts.judge_accuracy(NDCG, base, base * (1 - loss), max_drop=0.01, confidence=CONFIDENCE, seed=0)
    assert judged.bound >= judged.drop - 1e-9


@settings(max_examples=60, deadline=None)
@given(scores, st.integers(0, 59))
def test_one_nan_anywhere_fails(values, position):
    candidate = np.array(values)
    candidate[position % len(candidate)] = np.nan
    assert not passes(NDCG, np.array(values), candidate)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(100, 5000), st.floats(0.6, 0.99))
def test_tangos_bound_lies_above_the_observed_difference_and_grows_with_confidence(lost, gained, items, confidence):
    bound = bounds.tango_upper(lost, gained, items, confidence)
    assert (lost - gained) / items <= bound <= 1
    assert bound <= bounds.tango_upper(lost, gained, items, confidence + 0.009) + 1e-12


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6))
def test_ranking_scores_stay_between_zero_and_one(width, k, seed):
    generator = np.random.default_rng(seed)
    output = generator.standard_normal((5, width)).astype(np.float32)
    labels = np.stack([generator.permutation(width)[:3].tolist() + [-1] * (3 - min(3, width)) for _ in range(5)])
    for name in (f"ndcg@{k}", f"hit-rate@{k}"):
        found = metrics.score(metrics.parse(name), output, labels)
        assert ((found >= 0) & (found <= 1 + 1e-12)).all()
