"""Models are examined on the items or episodes that decide, against what the source said of them."""

import numpy as np
import pytest
from onnx import helper

from slipstream_builder import sessions
from slipstream_builder.errors import ValidationError
from slipstream_builder.gate import evaluate
from slipstream_builder.validation import dataset, episodes, metrics, own
from slipstream_contract.recipe import Environment
from slipstream_testing import onnx_models

ROWS = np.random.default_rng(3).standard_normal((150, 16)).astype(np.float32)
SOURCE, OTHER = onnx_models.mlp(), onnx_models.mlp(seed=1)
CLASSES = onnx_models.answers(SOURCE, ROWS)


def opened(model):
    return sessions.open_session(model.SerializeToString(), threads=1)


def linear(weights, outputs=("y",), inputs="x"):
    nodes = [helper.make_node("MatMul", [inputs, "w"], [outputs[0]])]
    nodes += [helper.make_node("Neg", [outputs[0]], [name]) for name in outputs[1:]]
    shapes = {name: ["N", weights.shape[1]] for name in outputs}
    return onnx_models.model(nodes, {inputs: ["N", weights.shape[0]]}, shapes, {"w": weights})


def examined(name, labelled, candidate, source=SOURCE):
    examination = evaluate.prepare(own.parse(name), labelled, opened(source))
    return evaluate.scores(opened(candidate), examination)


def test_the_source_agrees_with_itself_and_another_model_less():
    items = dataset.Labelled({"x": ROWS}, None)
    for name in ("agreement", "agreement@2", "neighbors@5"):
        assert examined(name, items, SOURCE) == pytest.approx(np.ones(150), abs=1e-5)
        assert examined(name, items, OTHER).mean() < 0.9


def test_scores_do_not_depend_on_how_items_fall_into_batches():
    labels = np.where(np.arange(150) % 3 == 0, (CLASSES + 1) % 4, CLASSES)
    whole = opened(OTHER).run(None, {"x": ROWS})[0]
    for name in ("accuracy", "accuracy@2", "f1"):
        metric = metrics.parse(name)
        reference = metrics.Reference(CLASSES) if name == "f1" else None
        at_once = metrics.score(metric, whole, labels, reference=reference)
        assert examined(name, dataset.Labelled({"x": ROWS}, labels), OTHER) == pytest.approx(at_once)


def test_one_score_an_item_is_read_as_a_probability_or_as_a_logit_by_what_the_source_gives():
    weights = np.ones((16, 1)) / 4
    logits = linear(weights)
    labels = (ROWS @ weights > 0).astype(int).ravel()
    items = dataset.Labelled({"x": ROWS}, labels)
    assert examined("accuracy", items, logits, logits).all()
    assert examined("f1", items, logits, logits).mean() == pytest.approx(1.0)
    probabilities = onnx_models.model(
        [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["y"])],
        {"x": ["N", 16]},
        {"y": ["N", 1]},
        {"w": weights},
    )
    assert examined("accuracy", items, probabilities, probabilities).all()
    assert examined("auc", items, probabilities, probabilities).mean() == pytest.approx(1.0)


def test_a_users_metric_sees_every_output_and_others_the_first():
    two = linear(np.eye(16)[:, :4], outputs=("logits", "negated"))
    items = dataset.Labelled({"x": ROWS}, np.argmax(ROWS[:, :4], axis=1))
    assert examined("accuracy", items, two, two).all()
    assert examined("slipstream_testing.own_metrics:confidence", items, two, two).shape == (150,)
    with pytest.raises(ValidationError, match=r"gives an item .* among others"):
        examined("slipstream_testing.own_metrics:compared", items, two, two)


def test_episodes_are_played_by_the_model():
    wise = linear(np.eye(4)[:, :3], inputs="state")
    session = opened(wise)
    specs = sessions.input_specs(session), sessions.output_specs(session)[0]
    given = episodes.prepare(Environment("slipstream_testing.environments:Choosing-v0", 70), *specs, seed=0)
    examination = evaluate.prepare(metrics.parse("return"), given, session)
    assert (examination.items, examination.slices) == (70, None)
    assert (evaluate.scores(session, examination) == 5).all()


def test_a_candidate_of_another_output_is_refused():
    items = dataset.Labelled({"x": ROWS}, CLASSES)
    with pytest.raises(ValidationError, match="'labels' holds index 3; the output has 2 values"):
        examined("accuracy", items, linear(np.ones((16, 2))))
    with pytest.raises(ValidationError, match="the candidate has 2 outputs, the source more"):
        examined("agreement@4", items, linear(np.ones((16, 2))))


def test_neighbours_of_a_single_item_are_refused():
    with pytest.raises(ValidationError, match="compares every item with every other; 1 items"):
        examined("neighbors@3", dataset.Labelled({"x": ROWS[:1]}, None), SOURCE)


@pytest.mark.parametrize(
    ("name", "scores", "words"),
    [
        ("accuracy", [0.0, 0.0, 0.0], "accuracy on it is 0, so no loss can be told; check that labels and inputs"),
        ("ndcg@3", [0.5, np.nan, 0.5], r"no number for 1 of 3 items \(first: 1\)"),
        ("mae", [0.0, 0.0, 0.0], "mae is 0, so every other model's is infinitely worse"),
        ("return", [np.nan, 1.0, 1.0], "validation.environment: .* no number for 1 of 3 episodes"),
        ("return", [0.0, 0.0, 0.0], "too close to 0"),
        ("return", [10.0, -9.0, 2.0], "mean return is 1 with a standard error of 5.5, too close to 0"),
        ("slipstream_testing.own_metrics:confidence", [1.0, -1.0], "too close to 0"),
    ],
)
def test_a_source_that_no_loss_can_be_told_of_is_refused(name, scores, words):
    with pytest.raises(ValidationError, match=words):
        evaluate.require_baseline(own.parse(name), np.array(scores))


@pytest.mark.parametrize(
    ("name", "scores"), [("return", [-200.0, -190.0, -210.0]), ("return", [9.0, 9.0]), ("mse", [0.1, 0.0])]
)
def test_negative_returns_and_small_errors_can_be_measured_against(name, scores):
    evaluate.require_baseline(own.parse(name), np.array(scores))


@pytest.mark.parametrize(
    ("name", "labels", "shared", "words"),
    [
        ("accuracy", [0] * 150, False, "150 items decide the gate; showing .* takes at least 300: add items"),
        ("accuracy", [0] * 150, True, "quarter is set aside .* takes at least 400"),
        ("auc", [0] * 350 + [1] * 50, False, "worth 50 for auc as its classes are uneven; .* at least 2400"),
        ("f1", [0] * 350 + [1] * 350 + [2] * 50, False, "worth 150 for f1 as .* at least 1500"),
    ],
)
def test_a_set_too_small_to_decide_says_how_many_items_it_would_take(name, labels, shared, words):
    items = dataset.Labelled({"x": np.zeros((len(labels), 16), np.float32)}, np.array(labels))
    with pytest.raises(ValidationError, match=words):
        evaluate.require_enough(metrics.parse(name), items, max_drop=0.01, confidence=0.95, shared=shared)


def test_episodes_too_few_to_decide_say_how_many_it_would_take():
    given = episodes.Episodes(Environment("CartPole-v1", 100), sessions.TensorSpec("x", "FP32", (-1, 4)), 0)
    with pytest.raises(
        ValidationError, match=r"100 episodes decide the gate; .* at least 300: raise episodes or maxDrop"
    ):
        evaluate.require_enough(metrics.parse("return"), given, max_drop=0.01, confidence=0.95, shared=False)
