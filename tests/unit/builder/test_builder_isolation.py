import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from slipstream_builder import sessions
from slipstream_builder.gate import isolation
from slipstream_builder.gate.isolation import BATCH_SIZE_TOLERANCE, Comparison
from slipstream_testing import onnx_models

FEATURES, CLASSES = onnx_models.FEATURES, onnx_models.CLASSES


def rows(items=64, scale=1.0):
    return {"x": (scale * np.random.default_rng(0).standard_normal((items, FEATURES))).astype(np.float32)}


def examine(model, given=None):
    return isolation.examine(sessions.open_session(model.SerializeToString(), threads=1), given or rows())


def network(*nodes, outputs=("logits",)):
    """Return a model of `nodes` from `x` to `outputs`, with square weights `w` at hand and features of one kind."""
    weights = {"w": np.random.default_rng(1).standard_normal((FEATURES, FEATURES)) / 4, "one": np.ones(FEATURES)}
    return onnx_models.model(list(nodes), {"x": ["N", FEATURES]}, {name: ["N", FEATURES] for name in outputs}, weights)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


MATMUL = node("MatMul", ["x", "w"], ["h"])
NORMALISED = (
    node("LayerNormalization", ["x", "one"], ["n"], axis=-1),
    node("MatMul", ["n", "w"], ["h"]),
    node("Relu", ["h"], ["logits"]),
)


def dynamic(model, tmp_path):
    onnx.save(model, tmp_path / "plain.onnx")
    quantize_dynamic(tmp_path / "plain.onnx", tmp_path / "dynamic.onnx")
    return onnx.load(tmp_path / "dynamic.onnx")


def static(model, tmp_path):
    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter([rows()])

        def get_next(self):
            return next(self.left, None)

    onnx.save(model, tmp_path / "plain.onnx")
    quantize_static(
        tmp_path / "plain.onnx", tmp_path / "static.onnx", Reader(), per_channel=True, weight_type=QuantType.QInt8
    )
    return onnx.load(tmp_path / "static.onnx")


def test_a_network_that_works_row_by_row_passes_bit_for_bit():
    verdict = examine(onnx_models.mlp(hidden=256))
    assert verdict.passed
    assert "bit for bit" in verdict.reason


def test_normalising_within_a_row_is_fine():
    assert examine(network(*NORMALISED)).passed


def test_static_quantisation_keeps_rows_apart(tmp_path):
    assert examine(static(onnx_models.mlp(hidden=256), tmp_path)).passed


def test_dynamic_quantisation_lets_ordinary_batchmates_move_a_result(tmp_path):
    verdict = examine(dynamic(onnx_models.mlp(hidden=256), tmp_path))
    assert not verdict.passed
    assert "ordinary batchmates moved another row's result" in verdict.reason


def test_dynamic_quantisation_is_found_where_the_first_operation_hides_large_values(tmp_path):
    assert not examine(dynamic(network(*NORMALISED), tmp_path)).passed


@pytest.mark.parametrize(
    "nodes",
    [
        (MATMUL, node("Softmax", ["h"], ["logits"], axis=0)),
        (MATMUL, node("ReduceMean", ["h"], ["m"], axes=[0], keepdims=1), node("Sub", ["h", "m"], ["logits"])),
        (MATMUL, node("ReduceMax", ["h"], ["m"], axes=[0], keepdims=1), node("Div", ["h", "m"], ["logits"])),
        (MATMUL, node("LpNormalization", ["h"], ["logits"], axis=0)),
    ],
    ids=["softmax over the batch", "batch statistics", "the batch's largest", "norm over the batch"],
)
def test_operations_over_the_batch_are_found(nodes):
    verdict = examine(network(*nodes))
    assert not verdict.passed
    assert "moved another row's result" in verdict.reason


def test_a_result_that_depends_on_the_place_in_the_batch_is_found():
    axis = helper.make_tensor("axis", TensorProto.INT64, [], [0])
    model = network(node("Constant", [], ["a"], value=axis), node("CumSum", ["x", "a"], ["logits"]))
    assert "its place in a batch" in examine(model).reason


def test_a_result_that_depends_on_the_number_of_batchmates_is_found():
    size = (
        node("Shape", ["x"], ["s"], start=0, end=1),
        node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        node("Div", ["x", "f"], ["logits"]),
    )
    assert "a batch of 8 moved" in examine(network(*size)).reason


def test_only_a_hostile_value_shows_a_sum_over_the_batch_that_is_mostly_rounded_away():
    tiny = helper.make_tensor("t", TensorProto.FLOAT, [], [1e-12])
    nodes = (
        node("Constant", [], ["t"], value=tiny),
        node("ReduceSum", ["x"], ["s"], keepdims=1),
        node("Mul", ["s", "t"], ["m"]),
        node("Add", ["x", "m"], ["logits"]),
    )
    verdict = examine(network(*nodes))
    assert not verdict.passed
    assert "batchmates with values of 1e30" in verdict.reason


def test_every_output_counts():
    nodes = (MATMUL, node("Relu", ["h"], ["logits"]), node("Softmax", ["h"], ["second"], axis=0))
    assert not examine(network(*nodes, outputs=("logits", "second"))).passed


def test_an_output_without_one_entry_a_row_fails():
    verdict = examine(network(node("ReduceSum", ["x"], ["logits"], keepdims=0)))
    assert not verdict.passed
    assert "not one entry a row" in verdict.reason


def test_a_single_ordinary_row_is_enough_to_judge():
    assert examine(onnx_models.mlp(), rows(1)).passed


def test_rows_that_give_nan_by_themselves_fail():
    assert not examine(network(node("Sqrt", ["x"], ["logits"]))).passed


def test_hostile_batchmates_are_of_every_kind_and_integers_stay_within_those_seen():
    data = {
        "x": np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3),
        "ids": np.array([[3, 7]] * 4),
        "mask": np.ones((4, 2), np.int64),
        "flag": np.zeros((4, 1), bool),
    }
    kinds = isolation.hostile(data, data)
    assert set(kinds) == {
        "the largest values of the data",
        "the smallest values of the data",
        "values 1000 times larger",
        "values of 1e30",
        "the largest numbers there are",
        "NaN",
        "infinity",
        "minus infinity",
        "denormal numbers",
        "zeros",
    }
    assert all(mates[name].dtype == data[name].dtype for mates in kinds.values() for name in data)
    assert {int(value) for mates in kinds.values() for value in mates["ids"].ravel()} == {3, 7}
    assert not kinds["the smallest values of the data"]["mask"].any()
    assert kinds["the largest values of the data"]["flag"].all()
    assert (np.abs(kinds["values 1000 times larger"]["x"]) >= 1000).all()
    assert 0 < kinds["denormal numbers"]["x"].max() < np.finfo(np.float32).tiny


def compared(after, tolerance=isolation.ISOLATION_TOLERANCE):
    return Comparison("batchmates with NaN", (np.array([1.0, 2.0], np.float32),), (np.asarray(after),), tolerance)


@pytest.mark.parametrize("moved", [2.1, math.nan, math.inf])
def test_what_moves_or_is_no_number_any_more_fails_and_names_the_batchmates(moved):
    verdict = isolation.judge_isolation([compared([1.0, 2.0]), compared([1.0, moved])])
    assert not verdict.passed
    assert "batchmates with NaN" in verdict.reason


def test_another_batch_size_may_tip_a_quantised_value_by_a_step_but_batchmates_may_not():
    step = [1.0, 2.0 + 2.0 / 127]
    assert isolation.judge_isolation([compared(step, BATCH_SIZE_TOLERANCE)]).passed
    assert not isolation.judge_isolation([compared(step)]).passed
    assert not isolation.judge_isolation([compared([1.0, 3.0], BATCH_SIZE_TOLERANCE)]).passed


def test_nothing_compared_and_outputs_of_another_shape_fail():
    assert not isolation.judge_isolation([]).passed
    assert not isolation.judge_isolation([compared([1.0])]).passed
