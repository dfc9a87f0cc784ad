"""Opens a torch.export program without unpickling anything, turns it into ONNX, and compares the two."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch._export.serde import schema
from torch._export.serde.serialize import (
    _SERIALIZE_TO_TORCH_DTYPE,
    ExportedProgramDeserializer,
    _dict_to_dataclass,
)
from torch.export.graph_signature import TensorArgument
from torch.utils import _pytree as pytree

from slipstream_builder.arrays import Array, Rows
from slipstream_builder.errors import SourceError
from slipstream_builder.sources import archive, program
from slipstream_builder.sources.archive import Archive

_EXPORT = "or export it to ONNX yourself: torch.onnx.export(..., dynamo=True)"


@dataclass(frozen=True)
class TorchProgram:
    """A program as torch runs it; `names` are its inputs in order, as in the ONNX made of it."""

    exported: torch.export.ExportedProgram
    names: tuple[str, ...]

    def batch(self) -> int:
        """Return a batch size that the program takes: the one it is fixed to, or about three."""
        name = self.names[0]
        (value,) = (node.meta["val"] for node in self.exported.graph.nodes if node.name == name)
        size = value.shape[0] if value.ndim else 1
        if isinstance(size, int):
            return size
        bounds = self.exported.range_constraints.get(size.node.expr)
        return 3 if bounds is None else int(max(bounds.lower, min(3, bounds.upper)))

    def runner(self) -> Callable[[Rows], list[Array]]:
        """Return a function from a batch to all outputs, in the order of the ONNX outputs."""
        module = self.exported.module(check_guards=False)
        tree = self.exported.call_spec.in_spec

        def run(rows: Rows) -> list[Array]:
            flat = [torch.from_numpy(np.ascontiguousarray(rows[name])) for name in self.names]
            args, kwargs = pytree.tree_unflatten(flat, tree)
            with torch.no_grad():
                outputs = pytree.tree_leaves(module(*args, **kwargs))
            return [output.numpy() for output in outputs if isinstance(output, torch.Tensor)]

        return run


def load(path: Path) -> TorchProgram:
    """Return the program in the archive at `path`; only JSON and raw tensors are read.

    Raises:
        SourceError: it is no honest program, holds what only a pickle can, or takes other things than tensors.
    """
    with archive.opened(path) as opened:
        name = _only_model(opened)
        document = program.vetted(opened.json(f"models/{name}.json"))
        _check_operators(program.operators(document))
        weights = _tensors(opened, "data/weights", f"{name}_weights_config.json")
        constants = _tensors(opened, "data/constants", f"{name}_constants_config.json")
    try:
        serialized = _dict_to_dataclass(schema.ExportedProgram, document)  # type: ignore[no-untyped-call]
        exported = ExportedProgramDeserializer().deserialize(serialized, weights, constants)
    except Exception as error:  # torch raises whatever the step that failed raises
        raise SourceError(
            f"model: torch {torch.__version__} cannot read the program ({_line(error)}); "
            f"save it again with that version, {_EXPORT}"
        ) from error
    return TorchProgram(exported, _input_names(exported))


def convert(loaded: TorchProgram) -> onnx.ModelProto:
    """Return the program as ONNX, with the program's names of inputs and its dynamic axes.

    Raises:
        SourceError: an operator of it has no ONNX form.
    """
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: Any = torch.onnx.export(loaded.exported, dynamo=True, verbose=False)
            proto: onnx.ModelProto = made.model_proto
    except Exception as error:  # the exporter wraps some errors, and lets others through
        raise SourceError(f"model: torch cannot turn the program into ONNX ({_line(error)}); {_EXPORT}") from error
    names = tuple(value.name for value in proto.graph.input)
    if names != loaded.names:
        raise SourceError(f"model: ONNX keeps the inputs {list(names)} of {list(loaded.names)}; drop unused inputs")
    return proto


def _only_model(opened: Archive) -> str:
    names = sorted(name for name in opened.names if name.startswith("models/") and name.endswith(".json"))
    if len(names) != 1:
        raise SourceError(f"model: the archive holds {len(names)} programs; save exactly one with torch.export.save")
    return names[0].removeprefix("models/").removesuffix(".json")


def _check_operators(names: set[str]) -> None:
    for name in sorted(names):
        _, _, namespace, packet, overload = name.split(".")
        found = getattr(getattr(getattr(torch.ops, namespace), packet, None), overload, None)
        if not isinstance(found, torch._ops.OpOverload):
            raise SourceError(f"model: torch {torch.__version__} has no operator {name}; save it with that version")
        if any(argument.name in ("filename", "file", "path") for argument in found._schema.arguments):
            raise SourceError(f"model: its program calls {name}, which opens files; export without it")


def _tensors(opened: Archive, folder: str, config: str) -> dict[str, torch.Tensor]:
    document = opened.json(f"{folder}/{config}")
    stored: dict[str, bytearray] = {}
    found = {}
    try:
        for name, entry in document["config"].items():
            if entry["use_pickle"]:
                raise SourceError(
                    f"model: {name!r} is stored as a pickle, which is never opened; export plain tensors only "
                    "(no tensor subclasses, no custom objects)"
                )
            member = entry["path_name"]
            if member not in stored:
                stored[member] = bytearray(opened.bytes(f"{folder}/{member}"))
            found[name] = _tensor(stored[member], entry, name)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise SourceError(f"model: {folder}/{config} in the archive is malformed; export it again") from error
    return found


def _tensor(data: bytearray, entry: dict[str, Any], name: str) -> torch.Tensor:
    meta = entry["tensor_meta"]
    dtype = _SERIALIZE_TO_TORCH_DTYPE[meta["dtype"]]
    sizes, strides = ([int(size["as_int"]) for size in meta[key]] for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    if min([*sizes, *strides, offset], default=0) < 0 or len(sizes) != len(strides):
        raise SourceError(f"model: tensor {name!r} has a negative size or stride; export it again")
    empty = 0 in sizes
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if not empty and (last + 1) * dtype.itemsize > len(data):
        raise SourceError(f"model: tensor {name!r} of shape {sizes} has only {len(data)} bytes; export it again")
    if empty:
        tensor = torch.empty(sizes, dtype=dtype)
    else:
        usable = len(data) // dtype.itemsize
        tensor = torch.frombuffer(data, dtype=dtype, count=usable).as_strided(sizes, strides, offset)
    # Nothing is trained here, and integers could not be.
    return torch.nn.Parameter(tensor, requires_grad=False) if entry["is_param"] else tensor


def _input_names(exported: torch.export.ExportedProgram) -> tuple[str, ...]:
    names = []
    for spec in exported.graph_signature.input_specs:
        if spec.kind.name != "USER_INPUT":
            continue
        if not isinstance(spec.arg, TensorArgument):
            raise SourceError(
                f"model: its input {spec.arg.name!r} is not a tensor; export with tensor inputs only, others fixed"
            )
        names.append(spec.arg.name)
    return tuple(names)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
