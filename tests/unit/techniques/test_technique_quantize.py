"""Graph optimisation and int8."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import Optimize, QuantizeDynamic, QuantizeStatic

STATIC = [QuantizeStatic(), QuantizeStatic("Percentile"), QuantizeStatic("Entropy"), QuantizeStatic(reduce_range=True)]


def executed(model: onnx.ModelProto, folder: Path) -> set[str]:
    """Return the operators ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node}


def moved_by_batchmates(run, model: onnx.ModelProto, x: np.ndarray) -> float:
    """Return how far the first row's result moves when the rows beside it grow a thousand times."""
    hostile = x.copy()
    hostile[1:] *= 1000
    return float(np.abs(run(model, hostile)[0] - run(model, x)[0]).max())


@pytest.mark.parametrize("technique", STATIC, ids=str)
def test_static_int8_answers_nearly_as_the_source(technique, make_mlp, make_context, floats, run):
    model, x = make_mlp(), 3 * floats(256, 64)

    quantized = apply(technique, model, make_context(model, x))

    wanted = run(model, x)
    assert np.abs(run(quantized, x) - wanted).mean() < 0.05 * np.abs(wanted).mean() + 0.01


def test_static_int8_products_run_in_int8_kernels(make_mlp, make_context, floats, tmp_path):
    model = make_mlp()

    operators = executed(apply(QuantizeStatic(), model, make_context(model, floats(64, 64))), tmp_path)

    assert "QGemm" in operators
    assert not operators & {"Gemm", "FusedGemm", "MatMul"}


def test_static_int8_convolutions_run_in_int8_kernels(make_conv, make_context, floats, tmp_path):
    model = make_conv()

    operators = executed(apply(QuantizeStatic(), model, make_context(model, floats(64, 3, 8, 8))), tmp_path)

    assert "QLinearConv" in operators
    assert not operators & {"Conv", "FusedConv"}


def test_static_int8_keeps_rows_apart_and_dynamic_int8_does_not(make_mlp, make_context, floats, run):
    model, x = make_mlp(), 3 * floats(8, 64)
    context = make_context(model, x)

    assert moved_by_batchmates(run, apply(QuantizeStatic(), model, context), x) == 0.0
    assert moved_by_batchmates(run, apply(QuantizeDynamic(), model, context), x) > 0.0


@pytest.mark.parametrize("technique", [QuantizeStatic(), QuantizeDynamic()], ids=str)
def test_int8_leaves_about_a_quarter_of_the_bytes(technique, make_mlp, make_context, floats):
    model = make_mlp(512)

    quantized = apply(technique, model, make_context(model, floats(64, 64)))

    assert quantized.ByteSize() < model.ByteSize() / 3.5


@pytest.mark.parametrize("technique", [Optimize(), QuantizeStatic(), QuantizeDynamic()], ids=str)
def test_inputs_outputs_and_the_batch_axis_keep_their_names(technique, make_mlp, make_context, floats, run):
    model = make_mlp()

    changed = apply(technique, model, make_context(model, floats(32, 64)))

    assert [value.name for value in changed.graph.input] == ["x"]
    assert [value.name for value in changed.graph.output] == ["y"]
    assert run(changed, floats(1, 64)).shape == (1, 10)
    assert run(changed, floats(9, 64)).shape == (9, 10)


@pytest.mark.parametrize("technique", [Optimize(), QuantizeStatic(), QuantizeDynamic()], ids=str)
def test_the_same_model_gives_the_same_bytes(technique, make_mlp, make_context, floats):
    model, x = make_mlp(), floats(32, 64)
    context = make_context(model, x)

    assert apply(technique, model, context).SerializeToString() == apply(technique, model, context).SerializeToString()


def test_optimising_folds_batch_normalisation_and_changes_no_answer(make_conv, make_context, floats, run):
    model, x = make_conv(), floats(4, 3, 8, 8)

    optimized = apply(Optimize(), model, make_context(model, x))

    assert "BatchNormalization" not in {node.op_type for node in optimized.graph.node}
    np.testing.assert_allclose(run(optimized, x), run(model, x), atol=1e-4)


def test_an_old_opset_is_raised_to_one_the_techniques_know(make_model, make_context, floats):
    model = make_model([("Relu", "x", "y", {})], {}, x=[4], y=[4], opset=11)

    assert apply(Optimize(), model, make_context(model, floats(4, 4))).opset_import[0].version >= 13


def test_a_model_that_is_none_is_refused_in_words(make_context, floats):
    with pytest.raises(TechniqueError, match="cannot be simplified"):
        apply(Optimize(), onnx.ModelProto(), make_context(onnx.ModelProto(), floats(4, 4)))


def test_static_int8_products_of_sequences_give_float_results(make_model, make_context, floats, tmp_path):
    weights = {"w1": floats(32, 64), "b1": floats(64), "w2": floats(64, 32)}
    nodes = [
        ("MatMul", "x w1", "m1", {}),
        ("Add", "m1 b1", "h1", {}),
        ("Tanh", "h1", "a1", {}),
        ("MatMul", "a1 w2", "y", {}),
    ]
    model = make_model(nodes, weights, x=[8, 32], y=[8, 32])

    operators = executed(apply(QuantizeStatic(), model, make_context(model, floats(64, 8, 32))), tmp_path)

    assert "MatMulIntegerToFloat" in operators
    assert not operators & {"MatMul", "QLinearMatMul"}
