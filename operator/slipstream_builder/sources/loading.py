"""Turns the fetched bytes into a model that can be built from: ONNX, safe, runnable, with a free batch axis."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from slipstream_builder import sessions
from slipstream_builder.arrays import Array
from slipstream_builder.errors import SourceError
from slipstream_builder.sources import safety
from slipstream_builder.sources.fetch import Fetched
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Accelerator

_BATCH = "batch"
_FREE_AXIS = 8
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
_EXPORT = 'export it first: torch.onnx.export(model, example, "model.onnx", dynamo=True, dynamic_shapes=...)'


@dataclass(frozen=True)
class SourceModel:
    """A checked model, the digest of the file it came from, and its inputs and outputs (first axis -1)."""

    proto: onnx.ModelProto
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def refuse_pickles(uri: str) -> None:
    """Refuse, by its name and before it is fetched, a file that only executing it could open.

    Raises:
        SourceError: the name is that of a pickled checkpoint.
    """
    if uri.lower().endswith(_PICKLES):
        raise SourceError(f"model {uri}: a pickled checkpoint runs code when loaded, so it is never opened; {_EXPORT}")


def load(fetched: Fetched, threads: int, accelerator: Accelerator = "cpu") -> SourceModel:
    """Return the fetched model, checked and with a free batch axis.

    Raises:
        SourceError: the bytes are no safe, runnable ONNX model that takes batches.
    """
    proto = _parse(fetched.data)
    safety.check(proto)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    _check(proto)
    free_batch_axis(proto)
    try:
        session = sessions.open_session(proto.SerializeToString(deterministic=True), threads, accelerator)
    except Exception as error:  # ONNX Runtime raises a family of its own; all mean the same here
        raise SourceError(f"model: ONNX Runtime cannot open it ({_line(error)}); export it again") from error
    inputs, outputs = _specs(session)
    _check_batches(session, inputs, outputs)
    return SourceModel(proto, fetched.sha256, inputs, outputs)


def free_batch_axis(model: onnx.ModelProto) -> None:
    """Make the first axis of every input and output of `model` symbolic, in place.

    Raises:
        SourceError: an input or output has no first axis.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in constants]
    if not values or not model.graph.output:
        raise SourceError("model: it has no inputs or no outputs; export it again")
    fixed = False
    for value in [*values, *model.graph.output]:
        if not value.type.HasField("tensor_type"):
            raise SourceError(f"model: {value.name!r} is not a tensor; export with tensor inputs and outputs only")
        shape = value.type.tensor_type.shape
        if value.type.tensor_type.HasField("shape") and not shape.dim:
            raise SourceError(f"model: {value.name!r} is a scalar, without a batch axis; export it as [batch, ...]")
        if shape.dim and not shape.dim[0].dim_param:
            shape.dim[0].dim_param = _BATCH
            fixed = True
    if fixed:
        # Shapes inferred for the old, fixed batch would contradict the free one.
        del model.graph.value_info[:]


def synthetic_rows(inputs: tuple[TensorSpec, ...], items: int, seed: int) -> dict[str, Array]:
    """Return made-up rows for `inputs`: normal numbers, and zeros where the type is integer (any index is valid)."""
    generator = np.random.default_rng(seed)
    rows = {}
    for spec in inputs:
        shape = (items, *(size if size > 0 else _FREE_AXIS for size in spec.shape[1:]))
        dtype = sessions.numpy_dtype(spec)
        floating = np.issubdtype(dtype, np.floating)
        rows[spec.name] = (generator.standard_normal(shape) if floating else np.zeros(shape)).astype(dtype)
    return rows


def _parse(data: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    if data[:4] == b"PK\x03\x04" or data[:2] == b"\x80\x02":
        raise SourceError(f"model: this is an archive or a checkpoint, not ONNX; {_EXPORT}")
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise SourceError(
            "model: not ONNX, or truncated; copy it again, or export it with torch.onnx.export"
        ) from error
    if not model.ir_version or not model.graph.node:
        raise SourceError("model: not ONNX (no graph in it); export it with torch.onnx.export")
    return model


def _check(model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker raises its own error, and protobuf's on odd fields
        raise SourceError(f"model: not valid ONNX ({_line(error)}); export it again") from error


def _specs(session: sessions.Session) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    try:
        return sessions.input_specs(session), sessions.output_specs(session)
    except KeyError as error:
        raise SourceError(f"model: an input or output is {error.args[0]}; only tensors of numbers are served") from None


def _check_batches(session: sessions.Session, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    for items in (1, 3):
        try:
            results = sessions.run(session, synthetic_rows(inputs, items, seed=0))
        except Exception as error:  # see load
            raise SourceError(
                f"model: it cannot run a batch of {items} ({_line(error)}); "
                "export it with a dynamic first axis (dynamic_shapes)"
            ) from error
        for spec, result in zip(outputs, results, strict=True):
            if result.ndim == 0 or len(result) != items:
                raise SourceError(
                    f"model: output {spec.name!r} has shape {list(result.shape)} for a batch of {items}; its first "
                    "axis must be the batch: export with a dynamic first axis (dynamic_shapes)"
                )


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:240] or type(error).__name__
