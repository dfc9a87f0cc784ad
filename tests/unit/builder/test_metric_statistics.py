"""F1, AUC and the comparisons with the source: what their mean is, and what a change of one item does."""

import itertools

import numpy as np
import pytest

from slipstream_builder.validation import influence, metrics, ranking

GENERATOR = np.random.default_rng(11)
LABELS = GENERATOR.integers(0, 2, 80)
SCORES = np.round(GENERATOR.standard_normal(80) + LABELS, 1)  # rounded, so that some are equal


def f1_by_hand(predicted, labels, one):
    both = ((predicted == one) & (labels == one)).sum()
    return 2 * both / ((predicted == one).sum() + (labels == one).sum())


def auc_by_hand(scores, labels):
    pairs = itertools.product(scores[labels == 1], scores[labels == 0])
    return np.mean([(above > below) + 0.5 * (above == below) for above, below in pairs])


def test_the_mean_of_auc_is_the_share_of_pairs_in_order_ties_counting_half():
    assert influence.auc(SCORES, LABELS).mean() == pytest.approx(auc_by_hand(SCORES, LABELS), abs=1e-12)


def test_the_spread_of_auc_is_delongs_variance():
    positive, negative = SCORES[LABELS == 1], SCORES[LABELS == 0]
    order = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = order.mean(axis=1).var() / len(positive) + order.mean(axis=0).var() / len(negative)
    values = influence.auc(SCORES, LABELS)
    assert values.var() / len(values) == pytest.approx(variance, rel=1e-9)


def test_auc_reads_one_score_one_column_or_the_distance_of_two():
    metric = metrics.parse("auc")
    flat = metrics.score(metric, SCORES, LABELS)
    assert (metrics.score(metric, SCORES[:, None], LABELS) == flat).all()
    two = np.stack([-SCORES / 2, SCORES / 2], axis=1)
    assert (metrics.score(metric, two, LABELS) == flat).all()


def test_the_mean_of_f1_is_that_of_class_one_where_labels_are_zero_and_one():
    predicted = (SCORES > 0.5).astype(int)
    assert influence.f1(predicted, LABELS, predicted).mean() == pytest.approx(f1_by_hand(predicted, LABELS, 1))


def test_the_mean_of_f1_of_several_classes_is_the_mean_over_those_that_occur():
    labels, predicted = GENERATOR.choice([0, 1, 3], 90), GENERATOR.integers(0, 4, 90)
    by_hand = np.mean([f1_by_hand(predicted, labels, one) for one in (0, 1, 3)])
    assert influence.f1(predicted, labels, predicted).mean() == pytest.approx(by_hand)


def test_the_mean_of_a_candidates_f1_is_its_own_and_only_items_that_changed_differ():
    labels, source = GENERATOR.integers(0, 3, 200), GENERATOR.integers(0, 3, 200)
    candidate = source.copy()
    candidate[[4, 90, 150]] = (source[[4, 90, 150]] + 1) % 3
    before, after = influence.f1(source, labels, source), influence.f1(candidate, labels, source)
    by_hand = np.mean([f1_by_hand(candidate, labels, one) for one in range(3)])
    assert after.mean() == pytest.approx(by_hand)
    assert np.flatnonzero(before != after).tolist() == [4, 90, 150]


def test_an_item_of_nan_has_no_score_in_f1_and_auc():
    output = np.stack([-SCORES, SCORES], axis=1)
    output[3, 0] = np.nan
    for name in ("f1", "auc"):
        assert np.flatnonzero(np.isnan(metrics.score(metrics.parse(name), output, LABELS))).tolist() == [3]


def test_accuracy_among_the_best_k_and_of_one_score():
    output = np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    assert metrics.score(metrics.parse("accuracy@2"), output, np.array([1, 2])).tolist() == [1.0, 0.0]
    logits = metrics.Reference(None, 0.0)
    one = np.array([[0.2], [-0.2]])
    accuracy = metrics.parse("accuracy")
    assert metrics.score(accuracy, one, np.array([1, 0]), reference=logits).tolist() == [1.0, 1.0]
    assert metrics.score(accuracy, one, np.array([1, 0])).tolist() == [0.0, 1.0]


def test_agreement_of_an_order_is_one_for_the_sources_own_and_falls_with_rank():
    source = GENERATOR.standard_normal((5, 30))
    wanted = ranking.top(source, 10)
    assert ranking.agreement(source * 3 + 1, wanted) == pytest.approx(np.ones(5))
    swapped_first, swapped_last = source.copy(), source.copy()
    for row, best in enumerate(wanted):
        swapped_first[row, best[:2]] = source[row, best[1::-1]]
        swapped_last[row, best[8:]] = source[row, best[:7:-1]]
    assert (ranking.agreement(swapped_first, wanted) < ranking.agreement(swapped_last, wanted)).all()
    assert (ranking.agreement(-source, wanted) == 0).all()


def test_neighbours_of_a_turned_and_scaled_embedding_are_the_same():
    source = GENERATOR.standard_normal((60, 8))
    turned = source @ np.linalg.qr(GENERATOR.standard_normal((8, 8)))[0] * GENERATOR.uniform(1, 9, (60, 1))
    assert ranking.neighbors(turned, source, 10) == pytest.approx(np.ones(60), abs=1e-5)


def test_neighbours_are_scored_the_same_in_blocks(monkeypatch):
    source = GENERATOR.standard_normal((60, 8))
    candidate = source + 0.3 * GENERATOR.standard_normal((60, 8))
    whole = ranking.neighbors(candidate, source, 10)
    monkeypatch.setattr(ranking, "_CELLS", 300)
    assert ranking.neighbors(candidate, source, 10) == pytest.approx(whole, abs=1e-6)


def test_a_swap_of_near_ties_costs_little_and_a_wrong_neighbour_much():
    angles = np.array([0.0, 0.50, 0.51, 1.4, 1.5])
    source = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    near_tie, wrong = source[[0, 2, 1, 3, 4]], source[[0, 4, 2, 3, 1]]
    assert ranking.neighbors(near_tie, source, 1)[0] == pytest.approx(np.cos(0.51) / np.cos(0.5))
    assert ranking.neighbors(wrong, source, 1)[0] == pytest.approx(np.cos(1.5) / np.cos(0.5))


def test_an_embedding_of_zeros_or_nan_has_no_score():
    source = GENERATOR.standard_normal((10, 4))
    candidate = source.copy()
    candidate[2], candidate[5, 1] = 0.0, np.nan
    assert np.flatnonzero(np.isnan(ranking.neighbors(candidate, source, 3))).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("name", "labels", "items"),
    [
        ("accuracy", [0] * 90 + [1] * 10, 100),
        ("auc", [0] * 90 + [1] * 10, 10),
        ("auc", [0] * 10 + [1] * 90, 10),
        ("f1", [0] * 90 + [1] * 10, 10),
        ("f1", [0] * 50 + [1] * 30 + [2] * 20, 60),
        ("f1", [0] * 30 + [1] * 30 + [2] * 30, 90),
    ],
)
def test_uneven_classes_count_as_fewer_items(name, labels, items):
    assert metrics.deciding_items(metrics.parse(name), np.array(labels), len(labels)) == items


@pytest.mark.parametrize(
    ("name", "task", "higher", "binary"),
    [
        ("accuracy", "classification", True, True),
        ("accuracy@5", "classification", True, True),
        ("f1", "classification", True, False),
        ("auc", "classification", True, False),
        ("agreement", "classification", True, True),
        ("agreement@10", "ranking", True, False),
        ("neighbors@10", "embedding", True, False),
        ("ndcg@10", "ranking", True, False),
        ("hit-rate@10", "ranking", True, True),
        ("mae", "regression", False, False),
        ("mse", "regression", False, False),
        ("return", "policy", True, False),
    ],
)
def test_every_metric_knows_its_task_and_direction(name, task, higher, binary):
    metric = metrics.parse(name)
    assert (metric.task, metric.higher_is_better, metric.binary) == (task, higher, binary)
