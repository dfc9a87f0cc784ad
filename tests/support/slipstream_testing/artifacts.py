"""Builds small artifact folders by hand, so that the runtime is tested without the builder."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from slipstream_contract import codec
from slipstream_contract.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    FileDigest,
    LatencyCurve,
    Manifest,
    TensorSpec,
    Variant,
)
from slipstream_runtime.protocol.signature import NUMPY_TYPES

TYPES = {
    "BOOL": TensorProto.BOOL,
    "BYTES": TensorProto.STRING,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    **{
        f"{sign}INT{bits}": TensorProto.DataType.Value(f"{sign}INT{bits}")
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
}


@dataclass(frozen=True)
class TinyModel:
    """A model with its signature and golden inputs."""

    proto: onnx.ModelProto
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    golden: dict[str, NDArray[Any]] = field(default_factory=dict)


def mlp(inputs: int = 8, hidden: int = 16, outputs: int = 3, seed: int = 0) -> TinyModel:
    """Return a two-layer perceptron from `features` to `scores`."""
    random = np.random.default_rng(seed)
    weights = {
        "w1": (random.normal(size=(inputs, hidden)) / inputs**0.5).astype(np.float32),
        "b1": random.normal(size=hidden).astype(np.float32),
        "w2": (random.normal(size=(hidden, outputs)) / hidden**0.5).astype(np.float32),
        "b2": random.normal(size=outputs).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["features", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w2", "b2"], ["scores"]),
    ]
    specs = (TensorSpec("features", "FP32", (-1, inputs)),), (TensorSpec("scores", "FP32", (-1, outputs)),)
    golden = {"features": random.normal(size=(4, inputs)).astype(np.float32)}
    return TinyModel(_model(nodes, *specs, weights), *specs, golden)


def echo() -> TinyModel:
    """Return a model that answers each row's integer `nonce` unchanged, to show whose answer a caller got."""
    specs = (TensorSpec("nonce", "INT64", (-1, 1)),), (TensorSpec("echo", "INT64", (-1, 1)),)
    nodes = [helper.make_node("Identity", ["nonce"], ["echo"])]
    return TinyModel(_model(nodes, *specs, {}), *specs, {"nonce": np.arange(4, dtype=np.int64).reshape(4, 1)})


def reciprocal() -> TinyModel:
    """Return a model that answers 1/x, and so an infinity for zero."""
    specs = (TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),)
    nodes = [helper.make_node("Reciprocal", ["x"], ["y"])]
    return TinyModel(_model(nodes, *specs, {}), *specs, {"x": np.ones((2, 1), dtype=np.float32)})


def looking_up() -> TinyModel:
    """Return a model that looks its `index` up in a table of four rows, and fails on an index beyond it."""
    specs = (TensorSpec("index", "INT64", (-1, 1)),), (TensorSpec("row", "FP32", (-1, 1, 2)),)
    nodes = [helper.make_node("Gather", ["table", "index"], ["row"])]
    weights = {"table": np.arange(8, dtype=np.float32).reshape(4, 2)}
    return TinyModel(_model(nodes, *specs, weights), *specs, {"index": np.arange(4, dtype=np.int64).reshape(4, 1)})


def slow(name: str = "rounds") -> TinyModel:
    """Return a model that counts to each batch's largest number, and so can be told how long to take."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_out"]), helper.make_node("Add", ["value", "one"], ["value_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.INT64, None),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.INT64, None),
        ],
        [numpy_helper.from_array(np.ones(1, dtype=np.int64), "one")],
    )
    nodes = [
        helper.make_node("Sub", [name, name], ["zero"]),
        helper.make_node("ReduceMax", [name], ["most"], keepdims=0),
        helper.make_node("Loop", ["most", "", "zero"], ["counted"], body=body),
    ]
    specs = (TensorSpec(name, "INT64", (-1, 1)),), (TensorSpec("counted", "INT64", (-1, 1)),)
    return TinyModel(_model(nodes, *specs, {}), *specs, {name: np.full((2, 1), 3, dtype=np.int64)})


def passing(datatypes: Iterable[str], width: int = 2) -> TinyModel:
    """Return a model that gives back rows of every datatype: what goes in as `of_INT8` comes out as `INT8`."""
    names = list(datatypes)
    inputs = tuple(TensorSpec(f"of_{name}", name, (-1, width)) for name in names)
    outputs = tuple(TensorSpec(name, name, (-1, width)) for name in names)
    nodes = [helper.make_node("Identity", [f"of_{name}"], [name]) for name in names]
    rows = np.array([[True, False] * width, [False, True] * width])[:, :width]
    golden = {f"of_{name}": rows.astype(str if name == "BYTES" else NUMPY_TYPES[name]) for name in names}
    return TinyModel(_model(nodes, inputs, outputs, {}), inputs, outputs, golden)


def write_artifact(folder: Path, model: TinyModel, variant: str = "original", name: str = "tiny") -> Manifest:
    """Write the artifact of one variant into `folder` and return its manifest."""
    return write_variants(folder, {variant: model}, name)


def write_variants(folder: Path, models: dict[str, TinyModel], name: str = "tiny") -> Manifest:
    """Write the artifact of several variants, all of one signature, and return its manifest; the first is chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    golden = next(iter(models.values())).golden
    arrays = {f"input:{key}": value for key, value in golden.items()}
    for variant, model in models.items():
        content = model.proto.SerializeToString()
        (folder / f"{variant}.onnx").write_bytes(content)
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        outputs = session.run([spec.name for spec in model.outputs], golden)
        named = zip(model.outputs, outputs, strict=True)
        # Texts go in with one width: arrays of Python strings would need pickle.
        arrays |= {f"output:{variant}:{s.name}": v.astype(str) if v.dtype == object else v for s, v in named}
    np.savez(folder / GOLDEN_FILE, allow_pickle=False, **arrays)
    manifest = _manifest(folder, models, name)
    (folder / MANIFEST_FILE).write_bytes(codec.canonical_json(manifest))
    return manifest


def _manifest(folder: Path, models: dict[str, TinyModel], name: str) -> Manifest:
    curve = LatencyCurve(1e-5, 1e-6, 0.0, ((1, 1.1e-5), (8, 1.8e-5)))
    files = {variant: _digest(folder, f"{variant}.onnx") for variant in models}
    first, model = next(iter(models.items()))
    return Manifest(
        name=name,
        recipe_digest="0" * 64,
        source_sha256=files[first].sha256,
        metric=None,
        inputs=model.inputs,
        outputs=model.outputs,
        variants=tuple(Variant(variant, files[variant], ("optimize",), 195, 1.0, curve) for variant in models),
        baseline=first,
        chosen=first,
        files=(*files.values(), _digest(folder, GOLDEN_FILE)),
        tools={"onnxruntime": ort.__version__},
        cpu_features=(),
    )


def _digest(folder: Path, path: str) -> FileDigest:
    content = (folder / path).read_bytes()
    return FileDigest(path, len(content), hashlib.sha256(content).hexdigest())


def _model(
    nodes: list[onnx.NodeProto],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    weights: dict[str, NDArray[Any]],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value(spec) for spec in inputs],
        [_value(spec) for spec in outputs],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    shape = ["batch" if size == -1 else size for size in spec.shape]
    return helper.make_tensor_value_info(spec.name, TYPES[spec.datatype], shape)
