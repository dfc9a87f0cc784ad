import numpy as np
import pytest
from onnx import helper

from slipstream_builder.measuring import costs, kinds, limits, operators
from slipstream_testing import onnx_models

WEIGHTS = {"w": np.zeros((8, 8)), "k": np.zeros((4, 3, 3, 3))}


def graph(*operations):
    nodes = [helper.make_node(kind, inputs, [f"t{place}"]) for place, (kind, inputs) in enumerate(operations)]
    return onnx_models.model(nodes, {"x": ["N", 8]}, {"t0": ["N", 8]}, WEIGHTS)


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        ("dense", [("MatMul", ["x", "w"])]),
        ("dense", [("MatMul", ["x", "w"]), ("Softmax", ["t0"])]),
        ("convolutional", [("Conv", ["x", "k"]), ("MatMul", ["t0", "w"])]),
        ("transformer", [("MatMul", ["x", "w"]), ("MatMul", ["x", "t0"]), ("Softmax", ["t1"])]),
        ("transformer", [("Conv", ["x", "k"]), ("MatMul", ["x", "t0"]), ("Softmax", ["t1"])]),
        ("recurrent", [("LSTM", ["x", "w", "w"]), ("MatMul", ["t0", "w"])]),
        ("other", [("Relu", ["x"])]),
    ],
)
def test_the_operators_tell_the_kind_of_network(kind, operations):
    assert kinds.kind_of(graph(*operations)) == kind


def test_multiplications_count_every_place_that_a_weight_is_used_at():
    sequence = onnx_models.model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["N", "T", 8]}, {"y": ["N", "T", 8]}, WEIGHTS
    )
    assert costs.multiplications(sequence, {"x": (5, 8)}) == 5 * 64
    images = onnx_models.model(
        [helper.make_node("Conv", ["x", "k"], ["y"])], {"x": ["N", 3, "H", "W"]}, {"y": ["N", 4, "h", "w"]}, WEIGHTS
    )
    assert costs.multiplications(images, {"x": (3, 10, 12)}) == 4 * 3 * 9 * 8 * 10


def event(name, operator, microseconds):
    return {"cat": "Node", "name": f"{name}_kernel_time", "args": {"op_name": operator}, "dur": microseconds}


def test_operators_are_added_up_by_type_without_their_first_run():
    events = [
        event("a", "MatMul", 9000),
        event("b", "MatMul", 9000),
        event("c", "Relu", 9000),
        event("a", "MatMul", 50),
        event("b", "MatMul", 40),
        event("c", "Relu", 10),
        {"cat": "Session", "name": "model_run", "dur": 100},
    ]
    assert operators.shares(events) == (
        operators.OperatorShare("MatMul", 2, 0.9),
        operators.OperatorShare("Relu", 1, 0.1),
    )


def test_a_profile_of_nothing_has_no_shares():
    assert operators.shares([]) == ()


def test_a_real_model_is_profiled_operator_by_operator():
    model = onnx_models.mlp().SerializeToString()
    rows = {"x": np.zeros((8, onnx_models.FEATURES), np.float32)}
    found = operators.profile(model, rows, 1, "cpu", 1e-3)
    assert sum(share.nodes for share in found) >= 2
    assert sum(share.share for share in found) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("files", "threads", "workers"),
    [
        pytest.param({"cpu.max": "100000 100000"}, 1, 1, id="a quota of one processor"),
        pytest.param({"cpu.max": "50000 100000"}, 1, 1, id="half a processor still builds"),
        pytest.param({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1, 1, id="cgroup v1"),
        pytest.param({"memory.max": str(1 << 30)}, 1, 1, id="memory for one"),
        pytest.param({}, 10_000, 1, id="more threads than processors"),
    ],
)
def test_workers_stay_within_the_quota_of_processors_and_memory(tmp_path, files, threads, workers):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert limits.workers(threads, 1 << 20, tmp_path) == workers


def test_a_large_model_is_trained_once_at_a_time_so_that_the_build_keeps_its_share_of_memory(tmp_path):
    (tmp_path / "memory.max").write_text(str(1 << 40))

    assert limits.workers(1, 90 << 20, tmp_path) == 1
    assert limits.workers(1, 1 << 20, tmp_path) == min(3, int(limits.processors(tmp_path)))
