"""Tiny ONNX models and data sets for the builder's tests, made without torch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, CLASSES = 16, 4


def mlp(hidden: int = 64, batch: int | str = "N", seed: int = 0) -> onnx.ModelProto:
    """Return a two-layer classifier from `x` [batch, 16] to `logits` [batch, 4]."""
    generator = np.random.default_rng(seed)
    weights = {
        "w1": generator.standard_normal((FEATURES, hidden)) / 4,
        "b1": np.zeros(hidden),
        "w2": generator.standard_normal((hidden, CLASSES)) / hidden**0.5,
        "b2": np.zeros(CLASSES),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["hidden"], name="first"),
        helper.make_node("Relu", ["hidden"], ["active"], name="relu"),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["logits"], name="second"),
    ]
    return model(nodes, {"x": [batch, FEATURES]}, {"logits": [batch, CLASSES]}, weights)


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    weights: dict[str, Any] | None = None,
    opset: int = 17,
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """Return a float32 model of `nodes`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def answers(source: onnx.ModelProto, rows: np.ndarray) -> np.ndarray:
    """Return the classes that the two-layer classifier `source` gives `rows`."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    hidden = np.maximum(rows @ weights["w1"] + weights["b1"], 0)
    return (hidden @ weights["w2"] + weights["b2"]).argmax(axis=1)


def write_case(folder: Path, items: int = 800, seed: int = 1) -> dict[str, Any]:
    """Write a classifier with a validation set it mostly gets right into `folder`; return a recipe document for it."""
    generator = np.random.default_rng(seed)
    source = mlp()
    rows = generator.standard_normal((items, FEATURES)).astype(np.float32)
    labels = answers(source, rows)
    labels[: items // 20] = (labels[: items // 20] + 1) % CLASSES
    onnx.save(source, folder / "model.onnx")
    np.savez(folder / "validation.npz", x=rows, labels=labels)
    np.savez(folder / "unlabelled.npz", x=generator.standard_normal((256, FEATURES)).astype(np.float32))
    return {
        "name": "tiny",
        "model": {"uri": str(folder / "model.onnx")},
        "validation": {
            "dataset": {"uri": str(folder / "validation.npz")},
            "metric": "accuracy",
            "max_drop": 0.05,
            "confidence": 0.95,
        },
        "unlabelled": {"uri": str(folder / "unlabelled.npz")},
        "budget_seconds": 300,
    }
