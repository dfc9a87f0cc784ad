"""The gate's promises over many synthetic candidates: what is too bad rarely passes, what is as good mostly does."""

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from bench.gate import honesty
from bench.gate.families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream_builder.gate import bounds, verdicts
from slipstream_builder.validation import metrics

NDCG = metrics.parse("ndcg@10")
TRIALS = 100
BY_NAME = {family.name: family for family in FAMILIES}


def found(family, pairs):
    return verdicts.judge_accuracy(metrics.parse(family.metric), *pairs, max_drop=family.max_drop, confidence=0.95)


@cache
def counted(index):
    return honesty.count(index, TRIALS)


@pytest.mark.parametrize("index", range(len(FAMILIES)), ids=list(BY_NAME))
def test_no_family_just_above_the_bound_passes_more_often_than_chance_explains(index):
    assert counted(index).false <= honesty.most_by_chance(TRIALS, len(FAMILIES))


@pytest.mark.parametrize("index", range(len(FAMILIES)), ids=list(BY_NAME))
def test_without_loss_and_with_enough_items_at_least_four_in_five_pass(index):
    assert counted(index).true >= honesty.LEAST_TRUE * counted(index).good


def test_over_all_families_at_most_five_percent_pass_at_95_percent_confidence():
    counts = [counted(index) for index in range(len(FAMILIES))]
    false, trials = sum(count.false for count in counts), sum(count.trials for count in counts)
    assert trials >= 2000
    assert honesty.upper_share(false, trials) <= honesty.MOST_FALSE


@pytest.mark.parametrize(("kind", "count"), [("false_few", 200), ("true", 10)])
def test_the_bench_fails_where_the_word_is_not_kept(kind, count):
    kept = [honesty.Count(index, 1000, 10, 10, 200, 190) for index in range(3)]
    assert honesty.failures(kept) == []
    assert honesty.failures([replace(kept[0], **{kind: count}), *kept[1:]])


@pytest.mark.parametrize("family", FAMILIES, ids=list(BY_NAME))
def test_the_families_lose_what_they_say(family):
    items = 400_000
    baseline, candidate = family.draw(np.random.default_rng(1), items, family.max_drop)
    change = baseline - candidate if metrics.parse(family.metric).higher_is_better else candidate - baseline
    noise = (change - family.max_drop * abs(baseline)).std() / items**0.5 / abs(baseline.mean())
    drop = bounds.relative_drop(baseline, candidate, metrics.parse(family.metric).higher_is_better)
    assert drop == pytest.approx(family.max_drop, abs=4 * noise)


@pytest.mark.parametrize(
    "name", ["loss spread thin", "total failures", "failures of the best", "answers, 2 % churn", "noisy returns"]
)
def test_with_as_many_items_as_a_refusal_names_a_like_candidate_passes_in_most_cases(name):
    family = BY_NAME[name]
    asked = passed = 0
    for seed in range(12):
        loss = family.max_drop / 3
        refused = found(family, family.draw(np.random.default_rng((seed, 1)), family.enough // 3, loss))
        needed = refused.verdict.items_needed
        if needed is None or needed > 60_000:
            continue
        generator = np.random.default_rng((seed, 2))
        for _ in range(10):
            again = found(family, family.draw(generator, needed, max(refused.drop, 0.0)))
            asked, passed = asked + 1, passed + again.verdict.passed
    assert asked >= 30
    assert passed >= 0.7 * asked


@pytest.mark.parametrize(
    ("better", "mean"), [(True, 1.0), (True, -1.0), (False, 1.0)], ids=["scores", "negative returns", "errors"]
)
def test_the_bound_does_not_depend_on_the_unit(better, mean):
    generator = np.random.default_rng(3)
    base = mean * generator.gamma(2.0, 1.0, 500)
    candidate = base + generator.normal(0, 0.1, 500)
    first, second = (
        bounds.drop_bound(base * unit, candidate * unit, higher_is_better=better, confidence=0.95)
        for unit in (1.0, 1e20)
    )
    assert first == pytest.approx(second, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=40), st.floats(0.6, 0.98))
def test_the_bound_grows_with_the_confidence(values, confidence):
    base = np.linspace(1.0, 3.0, len(values))
    low, high = (
        bounds.drop_bound(base, base + values, higher_is_better=True, confidence=asked)
        for asked in (confidence, confidence + 0.01)
    )
    assert low <= high + 1e-5 * abs(high)


@pytest.mark.parametrize(("items", "seconds"), [(2_000, 0.2), (50_000, 1.0)])
def test_a_bound_takes_little_time(items, seconds):
    generator = np.random.default_rng(0)
    base = generator.beta(0.6, 1.5, items)
    started = time.process_time()
    bounds.drop_bound(base, base + generator.normal(0, 0.1, items), higher_is_better=True, confidence=0.95)
    assert time.process_time() - started < seconds


scores = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(scores, st.floats(0.0, 0.5))
def test_the_bound_never_promises_more_than_what_was_observed(values, loss):
    base = np.array(values)
    judged = verdicts.judge_accuracy(NDCG, base, base * (1 - loss), max_drop=0.01, confidence=0.95)
    assert judged.bound >= judged.drop - 1e-9


@settings(max_examples=60, deadline=None)
@given(scores, st.integers(0, 59), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_value_that_is_no_number_fails_anywhere(values, position, value):
    base, candidate = np.array(values), np.array(values)
    candidate[position % len(candidate)] = value
    assert not verdicts.judge_accuracy(NDCG, base, candidate, max_drop=0.5, confidence=0.95).verdict.passed
    assert not verdicts.judge_accuracy(NDCG, candidate, base, max_drop=0.5, confidence=0.95).verdict.passed


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6))
def test_ranking_scores_stay_between_zero_and_one(width, k, seed):
    generator = np.random.default_rng(seed)
    output = generator.standard_normal((5, width)).astype(np.float32)
    labels = np.stack([generator.permutation(width)[:3].tolist() + [-1] * (3 - min(3, width)) for _ in range(5)])
    for name in (f"ndcg@{k}", f"hit-rate@{k}"):
        scored = metrics.score(metrics.parse(name), output, labels)
        assert ((scored >= 0) & (scored <= 1 + 1e-12)).all()
