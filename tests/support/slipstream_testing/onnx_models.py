"""Tiny ONNX models and data sets for the builder's tests, made without torch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
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


def convolutions(pixels: int = 48, channels: int = 64, seed: int = 0) -> onnx.ModelProto:
    """Return a classifier of images that takes milliseconds for one: `x` [batch, 3, 48, 48], `logits` [batch, 4]."""
    generator = np.random.default_rng(seed)
    weights: dict[str, Any] = {"w": generator.standard_normal((channels, CLASSES)) / 4, "b": np.zeros(CLASSES)}
    nodes: list[onnx.NodeProto] = []
    last = "x"
    for number, inputs in enumerate((3, channels, channels)):
        kernel, made = f"k{number}", f"a{number}"
        weights[kernel] = generator.standard_normal((channels, inputs, 3, 3)) / (inputs * 4.5) ** 0.5
        nodes += [
            helper.make_node("Conv", [last, kernel], [f"c{number}"], name=f"conv{number}", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{number}"], [made], name=f"relu{number}"),
        ]
        last = made
    nodes += [
        helper.make_node("ReduceMean", [last], ["mean"], name="mean", axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean", "w", "b"], ["logits"], name="head"),
    ]
    return model(nodes, {"x": ["N", 3, pixels, pixels]}, {"logits": ["N", CLASSES]}, weights)


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


def write_images(folder: Path, items: int = 150, seed: int = 1) -> None:
    """Write the classifier of images with a validation set that it gets right; small enough for a ConfigMap."""
    images = np.random.default_rng(seed).integers(0, 2, (items, 3, 48, 48)).astype(np.float32)
    source = convolutions()
    logits = run(source, images)
    (bias,) = [tensor for tensor in source.graph.initializer if tensor.name == "b"]
    bias.CopyFrom(numpy_helper.from_array(-logits.mean(axis=0), "b"))  # else all images would be of one class
    onnx.save(source, folder / "model.onnx")
    labels = (logits - logits.mean(axis=0)).argmax(axis=1)
    np.savez_compressed(folder / "validation.npz", x=images, labels=labels)
    np.savez_compressed(folder / "inputs.npz", x=images[:64])


def write_tiny(folder: Path, rows: int = 64, seed: int = 1) -> None:
    """Write a classifier of microseconds, a successor that answers otherwise, and inputs of both."""
    for name, weights in (("tiny", 0), ("tiny-next", 1)):
        onnx.save(mlp(seed=weights), folder / f"{name}.onnx")
    np.savez(folder / "tiny.npz", x=np.random.default_rng(seed).standard_normal((rows, FEATURES)).astype(np.float32))


def run(source: onnx.ModelProto, rows: np.ndarray) -> np.ndarray:
    """Return what a model of one input `x` answers."""
    session = onnxruntime.InferenceSession(source.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": rows})
    return np.asarray(answer)
