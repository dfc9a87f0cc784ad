"""Losses and augmentation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream_builder.techniques.training.augment import batches, dropped, is_sparse, mixed
from slipstream_builder.techniques.training.losses import distillation_loss, is_distribution

TASKS = ["ranking", "classification", "regression"]


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_a_student_that_agrees_has_no_loss_and_one_that_does_not_has_some(task, seed):
    torch.manual_seed(seed)
    teacher = torch.randn(4, 9)

    assert float(distillation_loss(teacher.clone(), teacher, task)) == pytest.approx(0.0, abs=1e-6)
    assert float(distillation_loss(teacher + torch.randn(4, 9), teacher, task)) > 0.0


@pytest.mark.parametrize("task", ["ranking", "classification"])
def test_adding_a_constant_to_all_scores_of_an_item_costs_nothing(task):
    teacher = torch.randn(4, 9)

    assert float(distillation_loss(teacher + 3.0, teacher, task)) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_a_single_score_an_item_is_matched_by_value(task):
    teacher = torch.tensor([[0.0], [1.0], [2.0]])

    assert float(distillation_loss(teacher + 1.0, teacher, task)) > 0.1


def test_probabilities_are_told_from_logits():
    assert is_distribution(torch.softmax(torch.randn(3, 5), -1))
    assert not is_distribution(torch.randn(3, 5))


def test_sparse_rows_lose_entries_and_gain_none():
    rows = np.ones((50, 40), dtype=np.float32)

    left = dropped(rows, np.full(50, 0.5), np.random.default_rng(0))

    assert left.dtype == np.float32
    assert set(np.unique(left)) == {0.0, 1.0}
    assert 0.4 < left.mean() < 0.6


def test_mixing_moves_a_row_towards_its_partner_by_the_share():
    mix = mixed(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32), np.array([0.0, 0.25]))

    np.testing.assert_allclose(mix, [[0, 0, 0], [0.25, 0.25, 0.25]])


def test_only_floats_that_are_mostly_zero_are_sparse():
    assert is_sparse(np.eye(9, dtype=np.float32))
    assert not is_sparse(np.ones((3, 3), dtype=np.float32))
    assert not is_sparse(np.zeros((3, 3), dtype=np.int64))


def test_token_ids_are_never_changed_and_stay_beside_their_row():
    rows = {"ids": np.arange(10)[:, None], "x": np.repeat(np.arange(1, 11, dtype=np.float32)[:, None], 3, axis=1)}
    source = batches({"ids": rows["ids"]}, 10, np.random.default_rng(0))

    assert sorted(next(source).rows["ids"].ravel()) == list(range(10))


def test_a_batch_may_be_larger_than_the_set():
    batch = next(batches({"x": np.ones((3, 2), np.float32)}, 8, np.random.default_rng(0)))

    assert batch.rows["x"].shape == (8, 2)
