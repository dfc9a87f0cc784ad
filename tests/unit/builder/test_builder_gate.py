import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from slipstream_builder.gate import bounds, verdicts
from slipstream_builder.gate.tails import tail_score
from slipstream_builder.validation import metrics

ACCURACY = metrics.parse("accuracy")
NDCG = metrics.parse("ndcg@10")


def judge(metric, baseline, candidate, max_drop=0.01):
    return verdicts.judge_accuracy(
        metric, np.asarray(baseline, float), np.asarray(candidate, float), max_drop=max_drop, confidence=0.95
    )


def some_scores(items=1000, seed=0):
    return np.random.default_rng(seed).beta(1, 3, items)


def test_a_candidate_that_changes_nothing_passes_when_there_are_enough_items():
    assert judge(NDCG, some_scores(2000), some_scores(2000)).verdict.passed


def test_a_candidate_that_changes_nothing_fails_when_too_few_items_could_have_shown_a_loss():
    perfect = np.ones(200)
    judged = judge(ACCURACY, perfect, perfect)
    assert not judged.verdict.passed
    assert abs(judged.verdict.items_needed - bounds.fewest_items(0.01, 0.95)) <= 3


def test_fewer_items_than_the_least_never_pass_and_a_few_more_do():
    fewest = bounds.fewest_items(0.01, 0.95)
    assert fewest == 300
    assert not judge(ACCURACY, np.ones(fewest - 10), np.ones(fewest - 10)).verdict.passed
    assert judge(ACCURACY, np.ones(fewest + 10), np.ones(fewest + 10)).verdict.passed


def test_a_clear_loss_fails_however_many_items_there_are():
    judged = judge(NDCG, some_scores(), some_scores() * 0.95)
    assert not judged.verdict.passed
    assert judged.verdict.items_needed is None
    assert "more than 1.00%" in judged.verdict.reason


def test_a_loss_that_may_be_small_enough_says_how_many_items_would_decide():
    noise = np.random.default_rng(1).normal(0, 0.1, 400)
    base = some_scores(400)
    judged = judge(NDCG, base, base + noise - noise.mean())
    assert not judged.verdict.passed
    assert judged.verdict.items_needed > 400
    assert f"about {judged.verdict.items_needed} items" in judged.verdict.reason


def test_lower_is_better_for_errors():
    base = some_scores() + 0.1
    assert judge(metrics.parse("mae"), base, base * 0.9).verdict.passed
    assert not judge(metrics.parse("mae"), base, base * 1.05).verdict.passed


def test_wrong_answers_in_both_directions_are_weighed_in_pairs():
    base = np.ones(3000)
    base[:300] = 0
    candidate = base.copy()
    candidate[100:110], candidate[500:512] = 1, 0
    judged = judge(ACCURACY, base, candidate)
    assert judged.drop == pytest.approx(2 / 2700)
    assert judged.verdict.passed
    assert "12 items lost, 10 gained; exact McNemar p = 0.42" in judged.verdict.reason


@pytest.mark.parametrize(
    ("items", "candidate", "passed"), [(1000, 0.5, True), (100, 0.5, False), (1000, 0.4, False), (1000, 0.6, True)]
)
def test_scores_without_any_variance_are_judged_by_their_number(items, candidate, passed):
    judged = judge(NDCG, np.full(items, 0.5), np.full(items, candidate))
    assert judged.verdict.passed is passed
    assert math.isfinite(judged.bound)


@pytest.mark.parametrize("better", [True, False])
def test_scores_too_large_to_compute_with_fail(better):
    base = np.full(1000, 1e-5)
    candidate = base.copy()
    candidate[0] = 1e308
    assert not judge(replace(NDCG, higher_is_better=better), base, candidate).verdict.passed


@pytest.mark.parametrize(("lost", "gained", "chance"), [(0, 0, 1.0), (5, 0, 1 / 32), (3, 1, 5 / 16), (0, 4, 1.0)])
def test_mcnemars_probability_is_that_of_as_many_heads(lost, gained, chance):
    base, candidate = np.ones(100), np.ones(100)
    candidate[:lost], base[50 : 50 + gained] = 0, 0
    assert bounds.mcnemar(base, candidate) == (lost, gained, pytest.approx(chance))


def test_returns_below_zero_lose_a_share_of_their_size():
    base = np.random.default_rng(3).normal(-150, 10, 4000)
    metric = replace(NDCG, name="return")
    worse, better = judge(metric, base, base - 7.5), judge(metric, base, base + 7.5)
    assert worse.drop == pytest.approx(0.05, rel=0.01)
    assert better.drop == pytest.approx(-0.05, rel=0.01)
    assert better.verdict.passed
    assert not worse.verdict.passed


def test_a_mean_that_may_be_zero_has_no_share_to_lose():
    base = np.random.default_rng(4).normal(0, 100, 500)
    judged = judge(replace(NDCG, name="return"), base, base + 0.1)
    assert not judged.verdict.passed
    assert "too near 0" in judged.verdict.reason


@pytest.mark.parametrize(
    ("words", "baseline", "candidate"),
    [
        ("NaN", [1.0, 1.0, 1.0], [1.0, math.nan, 1.0]),
        ("the original gave NaN", [1.0, math.nan, 1.0], [1.0, 1.0, 1.0]),
        ("infinity", [1.0, 1.0, 1.0], [1.0, math.inf, 1.0]),
        ("scores 0", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ("cannot be paired", [1.0, 1.0, 1.0], [1.0, 1.0]),
        ("cannot be paired", [1.0], [1.0]),
        ("cannot be paired", [], []),
    ],
)
def test_what_cannot_be_judged_fails(words, baseline, candidate):
    judged = judge(NDCG, baseline, candidate)
    assert not judged.verdict.passed
    assert words in judged.verdict.reason


@pytest.mark.parametrize(
    ("lost", "items", "upper"), [(0, 300, 0.009936), (1, 300, 0.015715), (5, 300, 0.034722), (20, 500, 0.057576)]
)
def test_without_gains_the_bound_is_that_of_clopper_and_pearson(lost, items, upper):
    candidate = np.ones(items)
    candidate[:lost] = 0
    bound = bounds.drop_bound(np.ones(items), candidate, higher_is_better=True, confidence=0.95)
    assert bound == pytest.approx(upper, rel=0.01)


def test_where_items_abound_the_bound_is_near_the_normal_one():
    base = some_scores(50_000)
    candidate = base + np.random.default_rng(2).normal(0, 0.2, 50_000)
    drop = bounds.relative_drop(base, candidate, higher_is_better=True)
    spread = (candidate - (1 - drop) * base).std() / 50_000**0.5 / base.mean()
    bound = bounds.drop_bound(base, candidate, higher_is_better=True, confidence=0.95)
    assert bound == pytest.approx(drop + 1.6448536 * spread, abs=0.06 * spread)


def test_the_tail_is_that_of_exponentially_weighted_sums():
    values = np.random.default_rng(5).normal(0.1, 1.0, 60)
    weights = np.random.default_rng(6).exponential(size=(200_000, 60))
    simulated = float((weights @ values <= 0).mean())
    assert NormalDist().cdf(tail_score(values)) == pytest.approx(simulated, abs=0.005)


def test_an_unseen_item_could_lose_as_much_as_the_best_item_has():
    base = np.concatenate([np.full(900, 0.1), np.full(100, 1.0)])
    bound = bounds.drop_bound(base, base, higher_is_better=True, confidence=0.95)
    assert bound == pytest.approx(3.0 / 1000 * 1.0 / base.mean(), rel=0.02)


def test_the_interval_of_the_mean_holds_the_mean_and_narrows_with_items():
    low, high = bounds.mean_interval(some_scores(4000))
    wide_low, wide_high = bounds.mean_interval(some_scores(400))
    assert low < some_scores(4000).mean() < high
    assert high - low == pytest.approx(2 * 1.96 * some_scores(4000).std() / 4000**0.5, rel=0.02)
    assert wide_high - wide_low > 2 * (high - low)
    assert bounds.mean_interval(np.full(10, 0.5)) == (0.5, 0.5)


def timing(ratio, noise=0.05, batch=32):
    return verdicts.Timing(batch, ratio, ratio * (1 - noise), ratio * (1 + noise))


@pytest.mark.parametrize(
    ("ratios", "size", "compressed", "passed", "words"),
    [
        ((0.5, 0.6), 100, None, True, "2.00x the speed"),
        ((0.5, 1.3), 100, None, True, "2.00x the speed"),
        ((0.98, 1.0), 100, None, False, "neither faster nor smaller"),
        ((2.0, 1.5), 40, None, True, "kept for its size"),
        ((2.0, 1.5), 60, None, False, "costs more time than it saves memory"),
        ((1.0, 1.0), 98, None, False, "neither faster nor smaller"),
        ((1.0, 1.0), 100, (45, 90), True, "storage and downloads only"),
        ((1.0, 1.2), 100, (45, 90), False, "slower, and smaller only when compressed"),
        ((1.0, 1.0), 100, (89, 90), False, "neither faster nor smaller"),
        ((math.nan, math.nan), 40, None, False, ""),
        ((), 40, None, False, "not measured"),
    ],
)
def test_benefit_is_speed_or_what_size_saves_beyond_the_time_it_costs(ratios, size, compressed, passed, words):
    timings = tuple(timing(ratio, batch=batch) for ratio, batch in zip(ratios, (1, 32), strict=False))
    verdict = verdicts.judge_benefit(timings, size, 100, compressed)
    assert verdict.passed is passed
    assert words in verdict.reason


def test_a_model_without_a_size_has_no_benefit():
    assert not verdicts.judge_benefit((timing(0.5),), 0, 100).passed
    assert not verdicts.judge_benefit((timing(0.5),), 100, 0).passed


ASKED = {"max_drop": 0.02, "confidence": 0.95}


def slices_of(loss_at_night, day=3000, night=3000):
    """Return answers and slices: all right by day, and a share of those at night lost."""
    base = np.ones(day + night)
    candidate = base.copy()
    candidate[day : day + round(loss_at_night * night)] = 0
    return base, candidate, np.array(["day"] * day + ["night"] * night)


def test_every_slice_that_keeps_its_accuracy_passes():
    verdict = verdicts.judge_slices(ACCURACY, *slices_of(0.005), **ASKED)
    assert verdict.passed
    assert "2 slices, each within 2.00%; nearest to it 'night'" in verdict.reason


def test_a_slice_that_loses_fails_though_the_whole_does_not():
    base, candidate, slices = slices_of(0.025, day=30_000)
    assert judge(ACCURACY, base, candidate).verdict.passed
    verdict = verdicts.judge_slices(ACCURACY, base, candidate, slices, **ASKED)
    assert not verdict.passed
    assert verdict.reason.startswith("1 of 2 slices not shown to keep within 2.00%: slice 'night': ")
    assert "'day'" not in verdict.reason
    assert verdict.items_needed is None


def test_a_slice_too_small_to_decide_fails_and_names_the_items_it_takes():
    verdict = verdicts.judge_slices(ACCURACY, *slices_of(0.0, night=40), **ASKED)
    assert not verdict.passed
    assert "slice 'night'" in verdict.reason
    assert verdict.items_needed == pytest.approx(bounds.fewest_items(0.02, 0.95), abs=3)
    assert f"about {verdict.items_needed} items like these" in verdict.reason


def test_slices_may_be_numbers_and_many_failures_are_counted_not_listed():
    base = np.ones(60)
    verdict = verdicts.judge_slices(ACCURACY, base, base, np.arange(60) // 10, **ASKED)
    assert "6 of 6 slices" in verdict.reason
    assert "slice '2'" in verdict.reason
    assert "slice '3'" not in verdict.reason
    assert "and 3 more slices" in verdict.reason


@pytest.mark.parametrize(("items", "words"), [(59, "not one an item"), (0, "no slice")])
def test_slices_that_do_not_belong_to_the_items_fail(items, words):
    scores = np.ones(60 if items else 0)
    verdict = verdicts.judge_slices(ACCURACY, scores, scores, np.zeros(items, int), **ASKED)
    assert not verdict.passed
    assert words in verdict.reason
