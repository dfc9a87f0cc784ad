import math

import numpy as np
import pytest

from slipstream_builder.gate import bounds, verdicts
from slipstream_builder.validation import metrics

ACCURACY = metrics.parse("accuracy")
NDCG = metrics.parse("ndcg@10")


def judge(metric, baseline, candidate, max_drop=0.01):
    return verdicts.judge_accuracy(
        metric, np.asarray(baseline, float), np.asarray(candidate, float), max_drop=max_drop, confidence=0.95, seed=0
    )


def some_scores(items=1000, seed=0):
    return np.random.default_rng(seed).beta(1, 3, items)


def test_a_candidate_that_changes_nothing_passes_when_there_are_enough_items():
    assert judge(NDCG, some_scores(), some_scores()).verdict.passed


def test_a_candidate_that_changes_nothing_fails_when_too_few_items_could_have_shown_a_loss():
    judged = judge(NDCG, some_scores(200), some_scores(200))
    assert not judged.verdict.passed
    assert judged.verdict.items_needed == bounds.fewest_items(0.01, 0.95) == 300


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
    base = np.ones(2000)
    base[:200] = 0
    candidate = base.copy()
    candidate[100:110], candidate[500:512] = 1, 0
    judged = judge(ACCURACY, base, candidate)
    assert judged.drop == pytest.approx(2 / 1800)
    assert judged.verdict.passed


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


@pytest.mark.parametrize(("events", "upper"), [(0, 2.996), (1, 4.744), (5, 10.513)])
def test_the_most_events_there_could_be_are_those_of_the_poisson_tables(events, upper):
    assert bounds.poisson_upper(events, 0.95) == pytest.approx(upper, abs=1e-3)


def test_one_item_that_lost_all_counts_as_the_few_there_could_have_been():
    base = np.full(1000, 0.5)
    candidate = base.copy()
    candidate[7] = 0.0
    judged = judge(NDCG, base, candidate)
    assert judged.bound == pytest.approx(4.744 / 1000, rel=1e-3)
    assert judged.verdict.passed


def test_tangos_bound_agrees_with_the_score_equation_without_changes():
    # Without a discordant pair the restricted estimate of gains is 0, and the bound solves d = z^2 (1 - d) / n.
    z2 = 1.6448536**2
    assert bounds.tango_upper(0, 0, 500, 0.95) == pytest.approx(z2 / (500 + z2), rel=1e-4)


def test_tangos_bound_is_near_walds_where_items_abound():
    lost, gained, items = 300, 200, 100_000
    wald = 0.001 + 1.6448536 * math.sqrt(lost + gained - (lost - gained) ** 2 / items) / items
    assert bounds.tango_upper(lost, gained, items, 0.95) == pytest.approx(wald, rel=0.02)


def test_benefit_takes_speed_beyond_noise_or_a_smaller_size():
    faster = verdicts.Timing(32, 0.5, 0.4, 0.6)
    unsure = verdicts.Timing(32, 0.95, 0.8, 1.1)
    slower = verdicts.Timing(32, 2.0, 1.9, 2.1)
    assert verdicts.judge_benefit((faster,), 100, 100).passed
    assert verdicts.judge_benefit((slower,), 40, 100).passed
    assert not verdicts.judge_benefit((unsure, slower), 100, 100).passed


def test_isolation_holds_when_batchmates_change_nothing():
    quiet = (np.array([1.0, 2.0], np.float32),)
    verdict = verdicts.judge_isolation(quiet, {"NaN": (quiet[0].copy(),)})
    assert verdict.passed
    assert "bit for bit" in verdict.reason


@pytest.mark.parametrize("moved", [2.1, math.nan, math.inf])
def test_isolation_fails_when_batchmates_move_a_result_and_names_them(moved):
    quiet = (np.array([1.0, 2.0], np.float32),)
    verdict = verdicts.judge_isolation(quiet, {"NaN": quiet, "large values": (np.array([1.0, moved], np.float32),)})
    assert not verdict.passed
    assert "large values" in verdict.reason


def test_isolation_fails_when_ordinary_rows_already_give_nan():
    broken = (np.array([math.nan]),)
    assert not verdicts.judge_isolation(broken, {"NaN": broken}).passed
