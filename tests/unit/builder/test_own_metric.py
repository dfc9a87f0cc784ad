"""A user's own metric: what it is given, what it must return, and every fault of it in one line."""

import numpy as np
import pytest

from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import metrics, own

MODULE = "slipstream_testing.own_metrics:"
LOGITS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
ITEMS = {"x": np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)}
LABELS = np.arange(6) % 4


def score(name):
    return own.score(own.parse(MODULE + name), {"logits": LOGITS}, LABELS, ITEMS)


def test_a_function_gets_outputs_labels_and_items_and_scores_each():
    odds = np.exp(LOGITS.astype(float))
    assert score("confidence") == pytest.approx((odds / odds.sum(1, keepdims=True))[np.arange(6), LABELS], rel=1e-5)
    assert score("distance") == pytest.approx(np.abs(LOGITS.max(1) - ITEMS["x"][:, 0]))


def test_a_function_says_its_direction_and_task_and_otherwise_higher_is_better():
    plain, marked = own.parse(MODULE + "confidence"), own.parse(MODULE + "distance")
    assert (plain.higher_is_better, plain.task, plain.needs_labels) == (True, "regression", False)
    assert (marked.higher_is_better, marked.task) == (False, "classification")


def test_a_name_without_a_colon_is_a_built_in_metric():
    assert own.parse("ndcg@10") == metrics.parse("ndcg@10")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:score", "no_such_module cannot be imported in the builder image .ModuleNotFoundError"),
        ("slipstream_testing.own_metrics:missing", "has no function 'missing'"),
        (MODULE + "NUMBER", "has no function 'NUMBER'"),
        (MODULE + "of_a_strange_task", "task is 'magic'; use ranking, classification"),
        ("a b:c", "is not a metric"),
        ("../evil:run", "is not a metric"),
    ],
)
def test_a_metric_that_cannot_be_found_is_refused(name, words):
    with pytest.raises(ValidationError, match=words):
        own.parse(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raising", r"raised KeyError: .*own_metrics.py, line \d+"),
        ("one_number", r"returned float32 of shape \[\] for 6 items; return one number an item, \[6\]"),
        ("words", "returned <U4 of shape"),
        ("not_a_number", "returned nan for an item, no finite number"),
        ("writing", "raised ValueError: .*read-only"),
    ],
)
def test_a_metric_that_does_not_do_its_work_is_refused_in_one_line(name, words):
    with pytest.raises(ValidationError, match=words) as refused:
        score(name)
    assert "\n" not in str(refused.value)


def test_items_are_as_they_were_after_a_metric_that_writes():
    before = ITEMS["x"].copy()
    with pytest.raises(ValidationError):
        score("writing")
    assert (ITEMS["x"] == before).all()


def test_a_metric_that_compares_items_with_each_other_is_refused():
    with pytest.raises(ValidationError, match=r"gives an item .* alone and .* among others"):
        own.check_apart(own.parse(MODULE + "compared"), {"logits": LOGITS}, LABELS, ITEMS)
    own.check_apart(own.parse(MODULE + "confidence"), {"logits": LOGITS}, LABELS, ITEMS)
