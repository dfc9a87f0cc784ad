"""Opens a torch.export program without unpickling anything, turns it into ONNX, and compares the two."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
from slipstream_builder.sources import program
from slipstream_builder.sources.archive import Archive
from slipstream_builder.sources.stored import Entry, Stored

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


def load(opened: Archive, stored: Stored) -> TorchProgram:
    """Return the program that an archive holds; only JSON that was vetted and raw tensors are read.

    Raises:
        SourceError: this torch cannot read it, or it takes other things than tensors.
    """
    _check_operators(program.operators(stored.document))
    weights, constants = _tensors(opened, stored.weights), _tensors(opened, stored.constants)
    try:
        serialized = _dict_to_dataclass(schema.ExportedProgram, stored.document)  # type: ignore[no-untyped-call]
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


def _check_operators(names: set[str]) -> None:
    for name in sorted(names):
        _, _, namespace, packet, overload = name.split(".")
        found = getattr(getattr(getattr(torch.ops, namespace), packet, None), overload, None)
        if not isinstance(found, torch._ops.OpOverload):
            raise SourceError(f"model: torch {torch.__version__} has no operator {name}; save it with that version")
        if any(argument.name in ("filename", "file", "path") for argument in found._schema.arguments):
            raise SourceError(f"model: its program calls {name}, which opens files; export without it")


def _tensors(opened: Archive, entries: dict[str, Entry]) -> dict[str, torch.Tensor]:
    members: dict[str, bytearray] = {}
    found = {}
    for name, entry in entries.items():
        # Tensors that shared their storage when they were saved share it again.
        if entry.member not in members:
            members[entry.member] = bytearray(opened.bytes(entry.member))
        found[name] = _tensor(members[entry.member], entry, name)
    return found


def _tensor(data: bytearray, entry: Entry, name: str) -> torch.Tensor:
    dtype = _SERIALIZE_TO_TORCH_DTYPE.get(entry.scalar_type)
    if dtype is None or entry.elements * dtype.itemsize > len(data):
        raise SourceError(
            f"model: tensor {name!r} of shape {list(entry.sizes)[:8]} has only {len(data)} bytes of data; "
            "copy or export it again"
        )
    if entry.elements:
        flat = torch.frombuffer(data, dtype=dtype, count=len(data) // dtype.itemsize)
        tensor = flat.as_strided(entry.sizes, entry.strides, entry.offset)
    else:
        tensor = torch.empty(entry.sizes, dtype=dtype)
    # Nothing is trained here, and integers could not be.
    return torch.nn.Parameter(tensor, requires_grad=False) if entry.is_parameter else tensor


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
