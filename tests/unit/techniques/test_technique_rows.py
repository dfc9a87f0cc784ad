"""Int8 with activations quantised row by row, weights by blocks, int8 tables, and float16."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import ConvertFloat16, QuantizeRows, QuantizeWeights

ROWS, WEIGHTS, FLOAT16 = QuantizeRows(), [QuantizeWeights(8), QuantizeWeights(4)], ConvertFloat16()
ALL = [ROWS, *WEIGHTS, FLOAT16]


def executed(model: onnx.ModelProto, folder: Path) -> set[str]:
    """Return the operators ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node}


def relative_error(given: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(given - wanted) / np.linalg.norm(wanted))


def embedder(table: np.ndarray, weights: np.ndarray) -> onnx.ModelProto:
    """Return a model from ids [batch, 4] to tanh(table[ids]) @ weights."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "x"], ["embedded"], name="lookup"),
            helper.make_node("Tanh", ["embedded"], ["active"], name="tanh"),
            helper.make_node("MatMul", ["active", "weights"], ["y"], name="product"),
        ],
        "embedder",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, weights.shape[1]])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.mark.parametrize(
    ("technique", "error"),
    [(ROWS, 0.015), (QuantizeRows(reduce_range=True), 0.025), (WEIGHTS[0], 0.01), (WEIGHTS[1], 0.12), (FLOAT16, 1e-3)],
    ids=str,
)
@pytest.mark.parametrize("opset", [13, 17, 20])
def test_answers_stay_within_the_error_of_the_bits(technique, error, opset, make_mlp, make_context, floats, run):
    model, x = make_mlp(), 3 * floats(256, 64)
    model.opset_import[0].version = opset

    changed = apply(technique, model, make_context(model, x))

    assert relative_error(run(changed, x), run(model, x)) < error


@pytest.mark.parametrize("technique", [ROWS, *WEIGHTS], ids=str)
@pytest.mark.parametrize("hostile", [1e3, 1e30, np.nan, np.inf, 0.0])
def test_no_batchmate_moves_a_row_by_a_single_bit(technique, hostile, make_mlp, make_context, floats, run):
    model, x = make_mlp(), floats(8, 64)
    changed = apply(technique, model, make_context(model, x))
    mixed = x.copy()
    mixed[1:] = hostile

    np.testing.assert_array_equal(run(changed, mixed)[0], run(changed, x)[0])


def test_rows_of_every_magnitude_keep_their_precision(make_mlp, make_context, floats, run):
    model, x = make_mlp(), floats(64, 64)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("b"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(tensor)), tensor.name))
    x *= (10.0 ** np.linspace(-12, 0, 64, dtype=np.float32))[:, None]

    given, wanted = run(apply(ROWS, model, make_context(model, x)), x), run(model, x)

    assert max(relative_error(a, b) for a, b in zip(given, wanted, strict=True)) < 0.04


def test_a_row_of_zeros_gives_the_bias(make_model, make_context, floats, run):
    weights = {"w": floats(16, 32), "b": floats(32)}
    model = make_model([("Gemm", "x w b", "y", {})], weights, x=[16], y=[32])

    given = run(apply(ROWS, model, make_context(model, floats(4, 16))), np.zeros((2, 16), np.float32))

    np.testing.assert_array_equal(given, np.stack([weights["b"]] * 2))


def test_the_factors_and_the_transposition_of_a_gemm_go_into_its_weights(make_model, make_context, floats, run):
    weights = {"w": floats(32, 16), "b": floats(32)}
    model = make_model([("Gemm", "x w b", "y", {"transB": 1, "alpha": 0.5, "beta": 3.0})], weights, x=[16], y=[32])
    x = floats(32, 16)

    given = run(apply(ROWS, model, make_context(model, x)), x)

    assert relative_error(given, run(model, x)) < 0.01


def test_products_run_in_int8_and_inputs_that_they_share_are_quantised_once(make_model, make_context, floats, tmp_path):
    weights = {name: floats(32, 32) for name in ("q", "k", "v")}
    nodes = [("MatMul", f"x {name}", f"x{name}", {}) for name in weights]
    model = make_model([*nodes, ("Sum", "xq xk xv", "y", {})], weights, x=[32], y=[32])

    changed = apply(ROWS, model, make_context(model, floats(4, 32)))

    kinds = [node.op_type for node in changed.graph.node]
    assert (kinds.count("QuantizeLinear"), kinds.count("MatMulIntegerToFloat")) == (1, 3)
    assert "MatMul" not in executed(changed, tmp_path)


def test_weights_by_blocks_run_in_their_own_kernel(make_mlp, make_context, floats, tmp_path):
    model = make_mlp()

    operators = executed(apply(WEIGHTS[0], model, make_context(model, floats(4, 64))), tmp_path)

    assert "MatMulNBits" in operators
    assert not operators & {"MatMul", "Gemm", "FusedGemm"}


def test_products_of_few_columns_stay_in_float(make_model, make_context, floats, run):
    weights = {"w1": floats(32, 64), "w2": floats(64, 1)}
    model = make_model([("MatMul", "x w1", "h", {}), ("MatMul", "h w2", "y", {})], weights, x=[32], y=[1])

    changed = apply(ROWS, model, make_context(model, floats(4, 32)))

    assert [node.op_type for node in changed.graph.node].count("MatMul") == 1


def test_tables_become_int8_and_give_the_same_rows(make_context, floats, run):
    model = embedder(table := 20 * floats(2000, 64), floats(64, 32))
    table[7] = 0
    ids = np.random.default_rng(0).integers(0, 2000, (16, 4))

    changed = apply(ROWS, model, make_context(model, ids))

    assert changed.ByteSize() < model.ByteSize() / 3.3
    assert relative_error(run(changed, ids), run(model, ids)) < 0.02


@pytest.mark.parametrize(
    ("technique", "shrunk"), [(ROWS, 3.7), (WEIGHTS[0], 3.6), (WEIGHTS[1], 5.9), (FLOAT16, 1.95)], ids=str
)
def test_nothing_of_the_float_weights_is_left_over(technique, shrunk, make_mlp, make_context, floats):
    model = make_mlp(1024)

    assert apply(technique, model, make_context(model, floats(4, 64))).ByteSize() < model.ByteSize() / shrunk


def test_blocks_are_no_longer_than_the_columns_they_hold(make_model, make_context, floats):
    model = make_model([("MatMul", "x w", "y", {})], {"w": floats(160, 512)}, x=[160], y=[512])

    assert apply(WEIGHTS[0], model, make_context(model, floats(4, 160))).ByteSize() < model.ByteSize() / 3.4


@pytest.mark.parametrize("technique", ALL, ids=str)
def test_inputs_and_outputs_keep_names_types_and_the_batch_axis(technique, make_mlp, make_context, floats, run):
    model = make_mlp()

    changed = apply(technique, model, make_context(model, floats(4, 64)))

    assert list(changed.graph.input) == list(model.graph.input)
    assert list(changed.graph.output) == list(model.graph.output)
    assert run(changed, floats(1, 64)).shape == (1, 10)
    assert run(changed, floats(9, 64)).shape == (9, 10)


@pytest.mark.parametrize("technique", ALL, ids=str)
def test_a_model_with_nothing_to_change_is_refused_in_words(technique, make_model, make_context, floats):
    model = make_model([("Relu", "x", "y", {})], {}, x=[4], y=[4])

    with pytest.raises(TechniqueError, match=r"no (product|float32 weights)"):
        apply(technique, model, make_context(model, floats(4, 4)))
