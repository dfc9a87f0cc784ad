"""Small models and contexts for the tests of the techniques."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from slipstream_builder.techniques.context import TechniqueContext

Arrays = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def _torch_threads_unchanged():
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.fixture
def make_model() -> Callable[..., onnx.ModelProto]:
    def make(nodes, weights: Arrays, x, y, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            [helper.make_node(op, i.split(), o.split(), name=f"{op}_{o.split()[0]}", **a) for op, i, o, a in nodes],
            "test",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *y])],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model

    return make


@pytest.fixture
def run() -> Callable[[onnx.ModelProto, np.ndarray], np.ndarray]:
    def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(["y"], {"x": x})[0]

    return answer


@pytest.fixture
def floats() -> Callable[..., np.ndarray]:
    generator = np.random.default_rng(0)
    return lambda *shape: (generator.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)


@pytest.fixture
def make_mlp(make_model, floats) -> Callable[..., onnx.ModelProto]:
    """64 features, two hidden layers, 10 scores; the first product a Gemm, the second a MatMul with its Add."""

    def make(hidden: int = 128) -> onnx.ModelProto:
        weights = {
            "w1": floats(hidden, 64),
            "b1": floats(hidden),
            "w2": floats(hidden, hidden),
            "b2": floats(hidden),
            "w3": floats(10, hidden),
            "b3": floats(10),
        }
        nodes = [
            ("Gemm", "x w1 b1", "h1", {"transB": 1}),
            ("Relu", "h1", "r1", {}),
            ("MatMul", "r1 w2", "m2", {}),
            ("Add", "b2 m2", "h2", {}),
            ("Tanh", "h2", "r2", {}),
            ("Gemm", "r2 w3 b3", "y", {"transB": 1}),
        ]
        return make_model(nodes, weights, x=[64], y=[10])

    return make


@pytest.fixture
def make_conv(make_model, floats) -> Callable[[], onnx.ModelProto]:
    """Two convolutions, one with batch normalisation, flattened by a Reshape to a fixed width, then scores."""

    def make() -> onnx.ModelProto:
        weights = {
            "w1": floats(32, 3, 3, 3),
            "b1": floats(32),
            "gamma": 1 + floats(32),
            "beta": floats(32),
            "mean": floats(32),
            "var": 1 + np.abs(floats(32)),
            "w2": floats(32, 32, 3, 3),
            "shape": np.array([-1, 32 * 4 * 4], dtype=np.int64),
            "w3": floats(32 * 4 * 4, 10),
            "b3": floats(10),
        }
        nodes = [
            ("Conv", "x w1 b1", "c1", {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}),
            ("BatchNormalization", "c1 gamma beta mean var", "n1", {"epsilon": 1e-4}),
            ("Relu", "n1", "r1", {}),
            ("Conv", "r1 w2", "c2", {"pads": [0, 0, 1, 1], "strides": [2, 2], "kernel_shape": [3, 3]}),
            ("Relu", "c2", "r2", {}),
            ("Reshape", "r2 shape", "flat", {}),
            ("Gemm", "flat w3 b3", "y", {}),
        ]
        return make_model(nodes, weights, x=[3, 8, 8], y=[10])

    return make


@pytest.fixture
def make_context(floats) -> Callable[..., TechniqueContext]:
    def make(source: onnx.ModelProto, x: np.ndarray, report=lambda fraction, message: None, **changes):
        values = {"task": "classification", "seed": 0, "threads": 1, **changes}
        return TechniqueContext(source=source, unlabelled={"x": x}, report=report, **values)

    return make
