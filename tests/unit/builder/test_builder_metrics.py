import math

import numpy as np
import pytest

from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import metrics


def test_ndcg_of_a_perfect_ranking_is_one():
    output = np.array([[0.9, 0.8, 0.1, 0.0]], np.float32)
    assert metrics.score(metrics.parse("ndcg@2"), output, np.array([[0, 1]])) == pytest.approx([1.0])


def test_ndcg_discounts_by_the_logarithm_of_the_rank():
    output = np.array([[0.9, 0.8, 0.1, 0.0]], np.float32)
    scores = metrics.score(metrics.parse("ndcg@3"), output, np.array([[2, -1]]))
    assert scores == pytest.approx([1 / math.log2(4)])


def test_ndcg_counts_no_more_relevant_things_than_fit_the_cut_off():
    output = np.array([[0.9, 0.1, 0.8, 0.7]], np.float32)
    scores = metrics.score(metrics.parse("ndcg@2"), output, np.array([[0, 2, 3]]))
    assert scores == pytest.approx([1.0])


def test_ignored_outputs_leave_their_places_to_others():
    output = np.array([[0.9, 0.8, 0.1]], np.float32)
    with_ignore = metrics.score(metrics.parse("hit-rate@1"), output, np.array([[1]]), np.array([[0, -1]]))
    without = metrics.score(metrics.parse("hit-rate@1"), output, np.array([[1]]))
    assert (with_ignore, without) == (pytest.approx([1.0]), pytest.approx([0.0]))


def test_a_cut_off_beyond_the_outputs_ranks_them_all():
    output = np.array([[0.1, 0.2]], np.float32)
    assert metrics.score(metrics.parse("hit-rate@50"), output, np.array([[0]])) == pytest.approx([1.0])


def test_accuracy_is_one_where_the_largest_output_is_the_label():
    output = np.array([[0.1, 0.9], [0.9, 0.1]], np.float32)
    assert metrics.score(metrics.parse("accuracy"), output, np.array([1, 1])).tolist() == [1.0, 0.0]


def test_errors_of_an_item_are_averaged_over_its_outputs():
    output, labels = np.array([[1.0, 3.0]], np.float32), np.array([[0.0, 0.0]])
    assert metrics.score(metrics.parse("mae"), output, labels).tolist() == [2.0]
    assert metrics.score(metrics.parse("mse"), output, labels).tolist() == [5.0]


@pytest.mark.parametrize("name", ["accuracy", "ndcg@1", "mae"])
def test_an_output_of_nan_has_no_score(name):
    metric = metrics.parse(name)
    labels = {"ranking": np.array([[0]]), "classification": np.array([0]), "regression": np.array([[1.0, 1.0]])}
    assert np.isnan(metrics.score(metric, np.array([[np.nan, 1.0]]), labels[metric.task])).all()


@pytest.mark.parametrize("name", ["", "ndcg", "ndcg@0", "ndcg@x", "Accuracy", "f2", "hit-rate@-1"])
def test_an_unknown_metric_is_refused_with_those_there_are(name):
    with pytest.raises(ValidationError, match="use one of accuracy"):
        metrics.parse(name)
