"""ONNX operators that choose, move, repeat and reshape, as functions on torch tensors."""

import numpy as np
import onnx
import torch
from torch import Tensor

from slipstream_builder.techniques.conversion.tensors import (
    OUTPUTS,
    Attributes,
    Inputs,
    Operator,
    axes_of,
    binary,
    given,
    integers,
    optional,
    unary,
)


def _reshape(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, shape = given(inputs), integers(inputs, 1)
    if not attributes.get("allowzero", 0):
        shape = [tensor.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return tensor.reshape(shape)


def _flatten(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, axis = given(inputs), attributes.get("axis", 1)
    if axis == 1:
        return tensor.flatten(1)
    return tensor.reshape(int(np.prod(tensor.shape[:axis])), -1)


def _squeeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    axes, tensor = axes_of(inputs, attributes), given(inputs)
    return tensor.squeeze(tuple(axes)) if axes else tensor.squeeze()


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, axes = given(inputs), axes_of(inputs, attributes)
    rank = tensor.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        tensor = tensor.unsqueeze(axis)
    return tensor


def _transpose(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = given(inputs)
    return tensor.permute(attributes.get("perm", tuple(range(tensor.ndim - 1, -1, -1))))


def _slice(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, starts, ends = given(inputs), integers(inputs, 1), integers(inputs, 2)
    axes = integers(inputs, 3) or list(range(len(starts)))
    steps = integers(inputs, 4) or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0:
            picked = list(range(tensor.shape[axis]))[slice(start, end if end >= -tensor.shape[axis] else None, step)]
            tensor = tensor.index_select(axis, torch.tensor(picked, dtype=torch.int64))
        else:
            window: list[slice] = [slice(None)] * tensor.ndim
            window[axis] = slice(*slice(start, end, step).indices(tensor.shape[axis]))
            tensor = tensor[tuple(window)]
    return tensor


def _split(inputs: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    tensor, axis = given(inputs), attributes.get("axis", 0)
    sizes = integers(inputs, 1) or list(attributes.get("split", ()))
    if not sizes:
        parts = int(attributes[OUTPUTS])
        return torch.split(tensor, -(-tensor.shape[axis] // parts), axis)
    return torch.split_with_sizes(tensor, sizes, axis)


def _gather(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, indices, axis = given(inputs), given(inputs, 1), attributes.get("axis", 0)
    size = tensor.shape[axis]
    flat = torch.where(indices < 0, indices + size, indices).reshape(-1)
    picked = tensor.index_select(axis, flat)
    axis %= tensor.ndim
    return picked.reshape(*tensor.shape[:axis], *indices.shape, *tensor.shape[axis + 1 :])


def _gather_elements(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, indices, axis = given(inputs), given(inputs, 1), attributes.get("axis", 0)
    return tensor.gather(axis, torch.where(indices < 0, indices + tensor.shape[axis], indices))


def _gather_nd(inputs: Inputs, attributes: Attributes) -> Tensor:
    if attributes.get("batch_dims", 0):
        raise ValueError("it gathers batch by batch")
    return given(inputs)[tuple(given(inputs, 1).unbind(-1))]


def _cast(inputs: Inputs, attributes: Attributes) -> Tensor:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return given(inputs).to(torch.from_numpy(np.zeros(1, dtype)).dtype)


def _shape(inputs: Inputs, attributes: Attributes) -> Tensor:
    sizes = list(given(inputs).shape)[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(sizes, dtype=torch.int64)


def _filled(inputs: Inputs, attributes: Attributes) -> Tensor:
    value = torch.from_numpy(np.array(attributes.get("value", np.zeros(1, np.float32))))
    return value.reshape(()).expand(integers(inputs, 0))


def _expand(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = given(inputs)
    return tensor.expand(np.broadcast_shapes(tuple(tensor.shape), tuple(integers(inputs, 1))))


def _concat(inputs: Inputs, attributes: Attributes) -> Tensor:
    return torch.cat([given(inputs, position) for position in range(len(inputs))], attributes["axis"])


def _range(inputs: Inputs, attributes: Attributes) -> Tensor:
    start, limit, delta = (given(inputs, position).item() for position in range(3))
    return torch.arange(start, limit, delta, dtype=given(inputs).dtype)


def _trilu(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, offset = given(inputs), (integers(inputs, 1) or [0])[0]
    return torch.triu(tensor, offset) if attributes.get("upper", 1) else torch.tril(tensor, offset)


def _one_hot(inputs: Inputs, attributes: Attributes) -> Tensor:
    indices, depth, values = given(inputs), integers(inputs, 1)[0], given(inputs, 2)
    hot = torch.nn.functional.one_hot(torch.remainder(indices.long(), depth), depth).bool()
    return torch.where(hot, values[1], values[0]).movedim(-1, attributes.get("axis", -1))


def _cumulated(inputs: Inputs, attributes: Attributes) -> Tensor:
    if attributes.get("exclusive", 0) or attributes.get("reverse", 0):
        raise ValueError("it sums from the end, or without the element itself")
    return given(inputs).cumsum(integers(inputs, 1)[0])


def _depth_to_space(inputs: Inputs, attributes: Attributes) -> Tensor:
    if attributes.get("mode", "DCR") != "CRD":
        raise ValueError("it orders depth first (mode DCR)")
    return torch.pixel_shuffle(given(inputs), attributes["blocksize"])


def _where(inputs: Inputs, attributes: Attributes) -> Tensor:
    return torch.where(given(inputs), given(inputs, 1), given(inputs, 2))


def _arg(function: object) -> Operator:
    def run(inputs: Inputs, attributes: Attributes) -> Tensor:
        if attributes.get("select_last_index", 0):
            raise ValueError("it takes the last of equals")
        picked: Tensor = function(given(inputs), attributes.get("axis", 0), bool(attributes.get("keepdims", 1)))  # type: ignore[operator]
        return picked

    return run


def _top(inputs: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    largest = bool(attributes.get("largest", 1))
    values, indices = given(inputs).topk(integers(inputs, 1)[0], attributes.get("axis", -1), largest)
    return values, indices


def _identity(inputs: Inputs, attributes: Attributes) -> Tensor:
    if optional(inputs, 2) is not None and bool(given(inputs, 2)):
        raise ValueError("it drops at random")
    return given(inputs)


SHAPING: dict[str, Operator] = {
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "Cast": _cast,
    "CastLike": binary(lambda tensor, like: tensor.to(like.dtype)),
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "CumSum": _cumulated,
    "DepthToSpace": _depth_to_space,
    "Dropout": _identity,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Identity": unary(lambda tensor: tensor),
    "OneHot": _one_hot,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": unary(lambda tensor: torch.tensor(tensor.numel())),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda inputs, _: given(inputs).repeat(integers(inputs, 1)),
    "TopK": _top,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
