"""Says whether an ONNX file holds only what a build may touch: no external data, known operators, bounded size.

ONNX Runtime and onnx.load each miss some places where external data can hide (sparse tensors, hard links), so every
tensor of the file is visited here. What only running the model can tell is left to the limits of `confinement`.
"""

import math
from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

from slipstream_builder.errors import SourceError
from slipstream_builder.sources import visiting

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
MIN_OPSET = 11
MAX_NODES = 100_000
_MAX_DEPTH = 8
_MAX_NAME = 4096
_MAX_STRING = 1 << 20
_MAX_SIZE = 1 << 31
_LOADS_FILES = "EPContext"

_TYPED_FIELDS: dict[int, tuple[str, int]] = {
    onnx.TensorProto.FLOAT: ("float_data", 1),
    onnx.TensorProto.COMPLEX64: ("float_data", 2),
    onnx.TensorProto.DOUBLE: ("double_data", 1),
    onnx.TensorProto.COMPLEX128: ("double_data", 2),
    onnx.TensorProto.INT64: ("int64_data", 1),
    onnx.TensorProto.UINT32: ("uint64_data", 1),
    onnx.TensorProto.UINT64: ("uint64_data", 1),
    onnx.TensorProto.STRING: ("string_data", 1),
}
_FLOATS: dict[int, str] = {
    onnx.TensorProto.FLOAT: "<f4",
    onnx.TensorProto.FLOAT16: "<f2",
    onnx.TensorProto.DOUBLE: "<f8",
}
_PACKED = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def check(model: onnx.ModelProto, max_nodes: int = MAX_NODES) -> None:
    """Accept a model that a build may touch.

    Raises:
        SourceError: external data, an operator of an unknown domain, too old an opset, too many nodes, functions that
            call themselves, a tensor whose data does not fit its shape, or names and nesting beyond any honest model.
    """
    _check_opset(model)
    _check_depth(model)
    _check_operators(model, max_nodes)
    _check_functions(model, max_nodes)
    _check_text(model)
    for name, tensor in visiting.tensors(model):
        _check_location(name, tensor)
        _check_content(name, tensor)
        _check_numbers(name, tensor)
    _check_shapes(model)


def _check_opset(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise SourceError("model: no opset of the ONNX domain is declared; export it again")
    if min(versions) < MIN_OPSET:
        raise SourceError(f"model: opset {min(versions)} is too old; export with opset {MIN_OPSET} or later")
    newest = onnx.defs.onnx_opset_version()
    if max(versions) > newest:
        raise SourceError(f"model: opset {max(versions)} is not known yet; export with opset {newest} or earlier")


def _check_depth(model: onnx.ModelProto) -> None:
    if any(depth > _MAX_DEPTH for _, depth in visiting.graphs(model)):
        raise SourceError(f"model: subgraphs nest more than {_MAX_DEPTH} deep; export a flatter graph")


def _check_operators(model: onnx.ModelProto, max_nodes: int) -> None:
    local = {(function.domain, function.name) for function in model.functions}
    for visited, node in enumerate(visiting.nodes(model)):
        if visited >= max_nodes:
            raise SourceError(f"model: more than {max_nodes} nodes; export a smaller graph")
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in local:
            raise SourceError(
                f"model: node {_short(node.name)!r} uses operator {_short(node.domain)}.{_short(node.op_type)}; only "
                "operators of ONNX and com.microsoft are allowed: export without custom operators"
            )
        if node.op_type == _LOADS_FILES:
            raise SourceError(f"model: operator {_LOADS_FILES} loads compiled code; give the model it was made from")


def _check_functions(model: onnx.ModelProto, max_nodes: int) -> None:
    """Bound what inlining makes of functions that call functions, and refuse a circle."""
    if len(model.functions) > max_nodes:
        raise SourceError(f"model: more than {max_nodes} functions; export a smaller graph")
    bodies = {(function.domain, function.name, function.overload): function for function in model.functions}
    calls = {
        key: Counter((node.domain, node.op_type, node.overload) for node in visiting.nodes_in(function.node))
        for key, function in bodies.items()
    }
    sizes: dict[tuple[str, str, str], int] = {}
    while len(sizes) < len(bodies):
        # A function can be sized when all it calls are; one turn without progress means a circle.
        ready = {
            key: sum(times * sizes.get(callee, 1) for callee, times in called.items())
            for key, called in calls.items()
            if key not in sizes and all(callee in sizes or callee not in bodies for callee in called)
        }
        if not ready:
            names = ", ".join(sorted(_short(key[1]) for key in bodies if key not in sizes)[:3])
            raise SourceError(f"model: function {names} calls itself; export again without recursion")
        sizes |= ready
    used = sum(sizes.get((node.domain, node.op_type, node.overload), 1) for node in visiting.nodes_in(model.graph.node))
    if used > max_nodes:
        raise SourceError(f"model: its functions unfold to more than {max_nodes} nodes; export a smaller graph")


def _check_text(model: onnx.ModelProto) -> None:
    for name, attribute in visiting.attributes(model):
        if max(map(len, [attribute.s, *attribute.strings])) > _MAX_STRING:
            raise SourceError(f"model: attribute {_short(name)!r} is a text of more than 1 MiB; export without it")
    for node in visiting.nodes(model):
        if max(map(len, [node.name, node.op_type, node.domain, *node.input, *node.output])) > _MAX_NAME:
            raise SourceError(f"model: a name of more than {_MAX_NAME} characters in {_short(node.op_type)}; rename it")


def _check_location(name: str, tensor: onnx.TensorProto) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise SourceError(
            f"model: tensor {_short(name)!r} keeps its data in another file; save the model as one file, "
            "with onnx.save(model, path, save_as_external_data=False)"
        )


def _check_content(name: str, tensor: onnx.TensorProto) -> None:
    """Compare the length of the data with the shape: what reads a tensor trusts one of the two."""
    if min(tensor.dims, default=0) < 0:
        raise SourceError(f"model: tensor {_short(name)!r} has a negative size in {list(tensor.dims)}; export it again")
    elements = math.prod(tensor.dims)
    if elements > _MAX_SIZE:
        raise SourceError(f"model: tensor {_short(name)!r} has {elements} elements, more than a build takes")
    kind = tensor.data_type
    if kind not in onnx.TensorProto.DataType.values() or kind == onnx.TensorProto.UNDEFINED:
        raise SourceError(f"model: tensor {_short(name)!r} is of unknown type {kind}; export it again")
    expected, found = _lengths(tensor, elements)
    if expected != found:
        raise SourceError(
            f"model: tensor {_short(name)!r} of shape {list(tensor.dims)[:8]} has {found} values or bytes of data "
            f"instead of {expected}; copy or export it again"
        )


def _lengths(tensor: onnx.TensorProto, elements: int) -> tuple[int, int]:
    """Return how much data the shape asks for, and how much there is, in bytes (raw) or in values."""
    bits = _PACKED.get(onnx.TensorProto.DataType.Name(tensor.data_type))
    if tensor.HasField("raw_data"):
        if bits is None:
            bits = 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        return -(-elements * bits // 8), len(tensor.raw_data)
    field, each = _TYPED_FIELDS.get(tensor.data_type, ("int32_data", 1))
    wanted = elements * each if bits is None else -(-elements * bits // 8)
    return wanted, len(getattr(tensor, field))


def _check_numbers(name: str, tensor: onnx.TensorProto) -> None:
    """Refuse what a diverged training leaves behind; a single NaN may be an honest constant."""
    kind = _FLOATS.get(tensor.data_type)
    if kind is None or math.prod(tensor.dims) < 2:
        return
    begins = np.frombuffer(tensor.raw_data, kind, 1) if tensor.raw_data else np.array(tensor.float_data[:1])
    if np.isnan(begins).any() and np.isnan(numpy_helper.to_array(tensor)).all():
        raise SourceError(f"model: tensor {_short(name)!r} holds nothing but NaN; export a checkpoint that is sound")


def _check_shapes(model: onnx.ModelProto) -> None:
    for value in [*model.graph.input, *model.graph.output]:
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value")]
        if min(sizes, default=0) < 0:
            raise SourceError(f"model: {_short(value.name)!r} has a negative size in its shape; export it again")
        if math.prod(size for size in sizes if size) > _MAX_SIZE:
            raise SourceError(f"model: {_short(value.name)!r} has a shape of more elements than a build takes")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
