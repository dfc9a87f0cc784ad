"""Early stopping against the gate itself: a candidate that would pass is never stopped, and most ruined ones are."""

import numpy as np
import pytest

from slipstream_builder.gate.verdicts import judge_accuracy
from slipstream_builder.search import early
from slipstream_builder.validation import metrics

CASES = 400
MAX_DROP = 0.01


def scores(metric: str, generator: np.random.Generator, items: int, harm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a source model's scores and a candidate's, of which a share of about `harm` is lost."""
    if metric == "accuracy":
        baseline = (generator.random(items) < 0.9).astype(float)
        lost, gained = generator.random(items) < harm, generator.random(items) < harm / 4
        return baseline, np.where(baseline > 0, ~lost, gained).astype(float)
    if metric == "mse":
        baseline = generator.gamma(0.5, size=items)
        return baseline, baseline * generator.gamma(1 / harm, harm, size=items) * (1 + harm)
    baseline = np.where(generator.random(items) < 0.5, 0.0, generator.random(items))
    moved = generator.normal(-harm, 3 * harm, size=items) * baseline
    return baseline, np.clip(baseline + moved, 0.0, 1.0)


def stopped(metric: metrics.Metric, baseline: np.ndarray, candidate: np.ndarray, seed: int) -> bool:
    seen = np.empty(0, dtype=np.int64)
    for part in early.order(len(baseline), seed):
        seen = np.concatenate([seen, part])
        asked = {"higher_is_better": metric.higher_is_better, "max_drop": MAX_DROP}
        if len(seen) < len(baseline) and early.hopeless(baseline, seen, candidate[seen], **asked):
            return True
    return False


@pytest.mark.parametrize("name", ["accuracy", "ndcg@10", "mse"])
def test_what_the_gate_would_pass_is_never_stopped(name):
    metric, generator = metrics.parse(name), np.random.default_rng(5)
    passed = 0
    for seed in range(CASES):
        harm = 10 ** generator.uniform(-4, -1.5)
        baseline, candidate = scores(name, generator, int(generator.integers(400, 6000)), harm)
        # Sorted scores are the worst case for a look at the first part only; the seeded order must not mind.
        order = np.argsort(candidate - baseline)
        baseline, candidate = baseline[order], candidate[order]
        judged = judge_accuracy(metric, baseline, candidate, max_drop=MAX_DROP, confidence=0.95)
        passed += judged.verdict.passed
        assert not (judged.verdict.passed and stopped(metric, baseline, candidate, seed))
    assert passed > CASES / 10


@pytest.mark.parametrize("name", ["accuracy", "ndcg@10", "mse"])
def test_a_ruined_candidate_is_mostly_stopped(name):
    metric, generator = metrics.parse(name), np.random.default_rng(6)
    ends = [stopped(metric, *scores(name, generator, 4000, 0.3), seed) for seed in range(50)]
    assert sum(ends) > 45


def test_the_order_holds_every_item_once_and_is_the_same_for_the_same_seed():
    parts = early.order(1000, seed=3)
    assert sorted(np.concatenate(parts)) == list(range(1000))
    assert [len(part) for part in parts] == [250, 250, 500]
    assert np.array_equal(np.concatenate(early.order(1000, seed=3)), np.concatenate(parts))
    assert not np.array_equal(np.concatenate(early.order(1000, seed=4)), np.concatenate(parts))


def test_few_items_are_never_cut():
    assert len(early.order(300, seed=0)) == 1


def test_scores_that_are_no_numbers_are_left_to_the_gate():
    baseline, candidate = np.ones(1000), np.zeros(500)
    candidate[0] = np.nan
    reason = early.hopeless(baseline, np.arange(500), candidate, higher_is_better=True, max_drop=MAX_DROP)
    assert reason is None
