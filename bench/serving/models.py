"""The models that are served: as an ONNX file for the others, as an artifact for ours, with requests to send."""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench.build import cases as built
from bench.build.models.store import MODEL_FILE, VALIDATION_FILE
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

Array = NDArray[Any]
Tensors = Mapping[str, Array]
VARIANT = "original"
INPUTS, OUTPUTS = 64, 10
POSITIONS, WIDTH, LAYERS, DENSE = 64, 256, 8, 2048
REQUESTS = 512
_TYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}
_GOLDEN = 4


@dataclass(frozen=True)
class Model:
    """A model: `file` is its ONNX file, `artifact` the folder that ours serves, `requests` one-row inputs to send."""

    name: str
    file: Path
    artifact: Path
    requests: tuple[Tensors, ...]


def small(scratch: Path) -> Model:
    """Return a perceptron of 64 inputs, 256 hidden units and 10 outputs: some ten microseconds a row."""
    return _synthetic("small", _small_graph, scratch)


def heavy(scratch: Path) -> Model:
    """Return a model of about 5 ms for a batch of four, on 64 inputs.

    Each input is a position of 256 channels, which nine layers mix; the positions are then read by a wide dense layer.
    The layers cost the same for every row, the dense layer's weights once a batch: larger batches pay, as they do in
    convolutional and transformer networks.
    """
    return _synthetic("heavy", _heavy_graph, scratch)


def encoder(scratch: Path) -> Model:
    """Return the sentence encoder of bench.build, with sentences of 8 to 32 tokens, none padded.

    Raises:
        BenchError: it cannot be made.
    """
    folder = _built("encoder")
    with np.load(folder / VALIDATION_FILE) as rows:
        ids, mask = rows["input_ids"], rows["attention_mask"]
    lengths = mask.sum(axis=1)
    pairs = zip(ids, mask, lengths, strict=True)
    requests = [{"input_ids": i[None, :n], "attention_mask": m[None, :n]} for i, m, n in pairs]
    return _served("encoder", folder / MODEL_FILE, requests, scratch)


def recommender(scratch: Path) -> Model:
    """Return the film recommender of bench.build, with the histories of its 943 users.

    Raises:
        BenchError: it cannot be made.
    """
    folder = _built("recommender")
    with np.load(folder / VALIDATION_FILE) as rows:
        requests = [{"history": history[None]} for history in rows["history"]]
    return _served("recommender", folder / MODEL_FILE, requests, scratch)


def _built(name: str) -> Path:
    return next(case for case in built.CASES if case.name == name).folder()


def _synthetic(name: str, graph: Callable[[np.random.Generator], onnx.GraphProto], scratch: Path) -> Model:
    random = np.random.default_rng(0)
    proto = helper.make_model(graph(random), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file = scratch / f"{name}.onnx"
    file.write_bytes(proto.SerializeToString())
    rows = random.normal(size=(REQUESTS, 1, INPUTS)).astype(np.float32)
    return _served(name, file, [{"features": row} for row in rows], scratch)


def _small_graph(random: np.random.Generator) -> onnx.GraphProto:
    weights = {"w1": _weights(random, INPUTS, 256), "w2": _weights(random, 256, OUTPUTS)}
    weights |= {"b1": _weights(random, 1, 256)[0], "b2": _weights(random, 1, OUTPUTS)[0]}
    nodes = [
        helper.make_node("Gemm", ["features", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["scores"]),
    ]
    return _graph(nodes, weights)


def _heavy_graph(random: np.random.Generator) -> onnx.GraphProto:
    weights = {"lift": _weights(random, 1, WIDTH), "dense": _weights(random, POSITIONS * WIDTH // 4, DENSE)}
    weights |= {f"w{layer}": _weights(random, WIDTH, WIDTH) for layer in range(LAYERS)}
    weights |= {"narrow": _weights(random, WIDTH, WIDTH // 4), "last": _weights(random, DENSE, OUTPUTS)}
    weights |= {"positions": np.array([-1, POSITIONS, 1]), "flat": np.array([-1, POSITIONS * WIDTH // 4])}
    nodes = [
        helper.make_node("Reshape", ["features", "positions"], ["x"]),
        helper.make_node("MatMul", ["x", "lift"], ["a0"]),
    ]
    for layer in range(LAYERS):
        nodes.append(helper.make_node("MatMul", [f"a{layer}", f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"a{layer + 1}"]))
    nodes += [
        helper.make_node("MatMul", [f"a{LAYERS}", "narrow"], ["n"]),
        helper.make_node("Reshape", ["n", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["d"]),
        helper.make_node("MatMul", ["d", "last"], ["scores"]),
    ]
    return _graph(nodes, weights)


def _weights(random: np.random.Generator, rows: int, columns: int) -> Array:
    weights: Array = (random.normal(size=(rows, columns)) * (2 / rows) ** 0.5).astype(np.float32)
    return weights


def _graph(nodes: list[onnx.NodeProto], weights: Mapping[str, Array]) -> onnx.GraphProto:
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", INPUTS])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", OUTPUTS])
    values = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    return helper.make_graph(nodes, "served", [given], [scores], values)


def _served(name: str, file: Path, requests: Sequence[Tensors], scratch: Path) -> Model:
    folder = scratch / name
    folder.mkdir(exist_ok=True)
    shutil.copyfile(file, folder / f"{VARIANT}.onnx")
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    specs = [tuple(map(_spec, nodes)) for nodes in (session.get_inputs(), session.get_outputs())]
    _write_golden(folder, session, specs[1], requests[0])
    (folder / MANIFEST_FILE).write_bytes(codec.canonical_json(_manifest(folder, name, *specs)))
    return Model(name, file, folder, tuple(requests))


def _write_golden(folder: Path, session: Any, outputs: tuple[TensorSpec, ...], request: Tensors) -> None:
    given = {name: np.repeat(array, _GOLDEN, axis=0) for name, array in request.items()}
    found = session.run([spec.name for spec in outputs], given)
    arrays = {f"input:{name}": array for name, array in given.items()}
    arrays |= {f"output:{VARIANT}:{spec.name}": array for spec, array in zip(outputs, found, strict=True)}
    np.savez(folder / GOLDEN_FILE, allow_pickle=False, **arrays)


def _manifest(folder: Path, name: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Manifest:
    file, golden = _digest(folder / f"{VARIANT}.onnx"), _digest(folder / GOLDEN_FILE)
    curve = LatencyCurve(1e-5, 1e-6, 0.0, ((1, 1.1e-5),))  # the runtime measures its own
    return Manifest(
        name=name,
        recipe_digest="0" * 64,
        source_sha256=file.sha256,
        metric=None,
        inputs=inputs,
        outputs=outputs,
        variants=(Variant(VARIANT, file, (), 0, 1.0, curve),),
        baseline=VARIANT,
        chosen=VARIANT,
        files=(file, golden),
        tools={"onnxruntime": ort.__version__},
        cpu_features=(),
    )


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, _TYPES[node.type], shape)


def _digest(path: Path) -> FileDigest:
    content = path.read_bytes()
    return FileDigest(path.name, len(content), hashlib.sha256(content).hexdigest())
