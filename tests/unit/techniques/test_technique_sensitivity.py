"""Which layers stay in float: those whose quantisation alone costs the most, by measured loss."""

import numpy as np
import onnx
import pytest

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import QuantizeStatic
from slipstream_builder.techniques.quantization.sensitivity import MOST_TRIALS, worst


def silent(part: float) -> None:
    pass


@pytest.fixture
def fragile(make_model, floats) -> onnx.ModelProto:
    """Four layers; the second reads one column of thousands that it multiplies by 0: 256 levels lose all the rest."""
    spread, gather = np.ones((32,), np.float32), floats(32, 32)
    spread[0], gather[0] = 1e4, 0
    weights = {"w1": floats(32, 32), "spread": spread, "w2": gather, "w3": floats(32, 32), "w4": floats(32, 32)}
    nodes = [
        ("MatMul", "x w1", "h1", {}),
        ("Mul", "h1 spread", "wide", {}),
        ("MatMul", "wide w2", "h2", {}),
        ("MatMul", "h2 w3", "h3", {}),
        ("MatMul", "h3 w4", "y", {}),
    ]
    return make_model(nodes, weights, x=[32], y=[32])


def error(run, model: onnx.ModelProto, source: onnx.ModelProto, x: np.ndarray) -> float:
    wanted = run(source, x)
    return float(np.linalg.norm(run(model, x) - wanted) / np.linalg.norm(wanted))


def test_the_layer_that_breaks_in_int8_stays_in_float(fragile, make_context, floats, run):
    x = floats(256, 32)
    context = make_context(fragile, x)

    all_int8 = apply(QuantizeStatic(), fragile, context)
    one_kept = apply(QuantizeStatic(worst_kept=1), fragile, context)

    assert error(run, all_int8, fragile, x) > 0.5
    assert error(run, one_kept, fragile, x) < 0.05
    read = {name for node in one_kept.graph.node for name in node.input}
    assert {tensor.name for tensor in one_kept.graph.initializer} & read >= {"w2"}
    assert not {"w1", "w3", "w4"} & read


def test_progress_goes_from_nothing_to_all(make_mlp, make_context, floats):
    model, seen = make_mlp(), []

    apply(
        QuantizeStatic(worst_kept=1), model, make_context(model, floats(64, 64), lambda part, text: seen.append(part))
    )

    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5 < seen[-2] <= seen[-1] == 1.0


def test_a_model_with_no_more_layers_than_may_stay_is_refused_in_words(make_mlp, make_context, floats):
    model = make_mlp()

    with pytest.raises(TechniqueError, match="3 layers are to stay in float, but the model has 3"):
        apply(QuantizeStatic(worst_kept=3), model, make_context(model, floats(64, 64)))


def test_many_layers_are_tried_in_runs_first_and_the_worst_are_found_all_the_same():
    layers = [f"layer{index:03}" for index in range(200)]
    costs = {"layer017": 5.0, "layer120": 9.0, "layer199": 7.0}
    trials: list[list[str]] = []

    def cost(names: list[str]) -> float:
        trials.append(names)
        return sum(costs.get(name, 0.01) for name in names)

    assert worst(layers, 3, cost, silent) == set(costs)
    assert len(trials) <= MOST_TRIALS + 3 * 9


def test_of_equal_costs_the_first_layers_stay():
    assert worst(["c", "a", "b"], 2, lambda names: 1.0, silent) == {"c", "a"}
