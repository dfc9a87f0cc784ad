"""What a student learns from besides its teacher: labels, neighbourhoods, and the states it meets itself."""

import dataclasses

import numpy as np
import pytest
import torch

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply, estimated_operations
from slipstream_builder.techniques.configs import Optimize, PruneChannels, PruneWeights
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.graphs import constants
from slipstream_builder.techniques.training import course, distill
from slipstream_builder.techniques.training.augment import batches
from slipstream_builder.techniques.training.losses import distillation_loss, embedding_distance, label_loss


@pytest.fixture(autouse=True)
def short_course(monkeypatch):
    monkeypatch.setattr(course, "FEWEST_STEPS", 48)
    monkeypatch.setattr(course, "MOST_STEPS", 48)


def test_only_rows_left_as_they_were_are_matched_with_their_labels():
    rows = np.arange(40, dtype=np.float32)[:, None] + 1

    batch = next(batches({"x": rows}, 40, np.random.default_rng(0)))

    kept = batch.unchanged
    assert 0 < kept.sum() < 40
    np.testing.assert_array_equal(batch.rows["x"][kept, 0], rows[batch.positions[kept], 0])
    assert (batch.rows["x"][~kept, 0] != rows[batch.positions[~kept], 0]).mean() > 0.8


def test_rows_of_token_ids_all_count_as_they_were():
    batch = next(batches({"ids": np.arange(10)[:, None]}, 10, np.random.default_rng(0)))

    assert batch.unchanged.all()


def test_the_right_class_costs_less_than_a_wrong_one_from_logits_and_from_probabilities():
    logits = torch.tensor([[4.0, 0.0, 0.0]])

    for scores in (logits, torch.softmax(logits, -1)):
        right, wrong = (float(label_loss(scores, scores, torch.tensor([y]), "classification")) for y in (0, 1))
        assert right == pytest.approx(0.036, abs=0.001)
        assert wrong == pytest.approx(4.036, abs=0.001)


def test_a_single_score_is_taken_for_a_probability_where_it_can_be_one():
    for score, teacher in ((0.5, 0.5), (0.0, -2.0)):
        loss = label_loss(torch.tensor([[score]]), torch.tensor([[teacher]]), torch.tensor([1]), "classification")
        assert float(loss) == pytest.approx(0.693, abs=1e-3)


def test_ranking_looks_at_every_relevant_position_and_at_no_padding():
    scores = torch.tensor([[3.0, 0.0, 3.0, 0.0]])

    both = label_loss(scores, scores, torch.tensor([[0, 2, -1, -1]]), "ranking")

    assert float(both) == pytest.approx(-float(torch.log_softmax(scores, -1)[0, 0]), abs=1e-6)
    assert float(label_loss(scores, scores, torch.tensor([[-1, -1, -1, -1]]), "ranking")) == 0.0


def test_labels_of_a_regression_count_in_the_teachers_variance():
    teacher = torch.tensor([[0.0], [2.0]])

    assert float(label_loss(teacher, teacher, torch.tensor([1.0, 3.0]), "regression")) == pytest.approx(1.0)


def test_labels_that_do_not_fit_the_model_fail_in_words(make_mlp, make_context, floats):
    model = make_mlp(32)

    with pytest.raises(TechniqueError, match="distillation failed"):
        apply(PruneChannels(0.5), model, make_context(model, floats(60, 64), labels=np.full(60, 99)))


def test_labels_correct_what_the_teacher_gets_wrong(make_mlp, make_context, floats, run, monkeypatch):
    monkeypatch.setattr(distill, "LABELS_SHARE", 0.9)
    model, x = make_mlp(64), 3 * floats(200, 64)
    labels = np.random.default_rng(0).integers(0, 10, 200)

    def accuracy(given: np.ndarray | None) -> float:
        pruned = apply(PruneWeights(0.1), model, make_context(model, x, labels=given))
        return float((run(pruned, x).argmax(1) == labels).mean())

    assert accuracy(labels) > accuracy(None) + 0.2


def test_embeddings_are_compared_by_angle_and_neighbourhood_and_not_by_length():
    teacher = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))

    assert float(embedding_distance(3 * teacher, teacher)) == pytest.approx(0.0, abs=1e-5)
    assert float(embedding_distance(teacher.flip(0), teacher)) > 0.5
    assert float(distillation_loss(-teacher, teacher, "embedding")) > 1.5


def test_continuous_actions_are_matched_by_value_and_scores_up_to_a_constant():
    actions = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    assert float(distillation_loss(actions + 1.0, actions, "policy", discrete=True)) == pytest.approx(0.0, abs=1e-5)
    assert float(distillation_loss(actions + 1.0, actions, "policy", discrete=False)) > 0.5


def test_a_policys_states_come_from_the_present_student_and_differ_by_turn(make_mlp, make_context, floats):
    model, met, answers = make_mlp(32), floats(9, 64), []

    def explore(policy, number, seed):
        answers.append((seed, policy({"x": met})))
        return {"x": np.repeat(met, -(-number // 9), axis=0)[:number]}

    context = make_context(model, floats(60, 64), task="policy", seed=3, explore=explore)
    apply(PruneChannels(0.5), model, context)

    assert [seed for seed, _ in answers] == list(range(4, 4 + distill.REFRESHES - 1))
    assert not np.allclose(answers[0][1], answers[-1][1])


@pytest.mark.parametrize(("entries", "changes"), [(20, True), (48 * 60 + 1, False)])
def test_a_table_of_mostly_unmet_entries_stays_as_it_is(entries, changes, make_model, make_context, floats):
    nodes = [
        ("Cast", "x", "ids", {"to": 7}),
        ("Gather", "table ids", "e", {}),
        ("Flatten", "e", "f", {}),
        ("Gemm", "f w1", "h", {}),
        ("Relu", "h", "r", {}),
        ("Gemm", "r w2", "y", {}),
    ]
    weights = {"table": floats(entries, 4), "w1": floats(12, 32), "w2": floats(32, 5)}
    model, x = make_model(nodes, weights, x=[3], y=[5]), np.arange(180, dtype=np.float32).reshape(60, 3) % 20

    pruned = apply(PruneChannels(0.5), model, make_context(model, x, task="regression"))

    assert (not np.array_equal(constants(pruned.graph)["table"], weights["table"])) == changes


def test_pruned_weights_are_exactly_zero_in_every_layer_and_vectors_stay(make_mlp, make_context, floats):
    model = make_mlp(64)

    held = constants(apply(PruneWeights(0.8), model, make_context(model, floats(100, 64))).graph)

    for name in ("w1", "w2", "w3"):
        assert np.mean(held[name] == 0.0) == pytest.approx(0.8, abs=0.01)
    assert np.count_nonzero(held["b1"]) == held["b1"].size


def test_the_operations_told_are_those_of_the_course(make_mlp, floats):
    model, rows = make_mlp(64), {"x": floats(300, 64)}
    uses = 64 * 64 + 64 * 64 + 64 * 10

    assert estimated_operations(PruneChannels(0.5), model, rows) == 48 * 128 * 8.0 * uses
    assert estimated_operations(Optimize(), model, rows) == 0.0


def test_a_model_too_large_for_the_budget_gets_smaller_batches(make_mlp, floats, monkeypatch):
    model, rows = make_mlp(64), {"x": floats(300, 64)}
    whole = course.course_for(Interpreter(model), rows)
    monkeypatch.setattr(course, "OPERATIONS_BUDGET", whole.operations / 5)

    cut = course.course_for(Interpreter(model), rows)

    assert (cut.batch, cut.steps) == (16, 48)
    assert dataclasses.replace(cut, batch=128, operations=whole.operations) == whole
