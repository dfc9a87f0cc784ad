"""ONNX operators without trainable weights, each as a function on torch tensors.

A function takes the node's inputs (None where an optional one is absent) and its attributes. The semantics are those
of the ONNX operator specification from opset 13 on, where axes and bounds have become inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

Attributes = dict[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor | tuple[Tensor, ...]]


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, _: function(_given(inputs, 0))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda inputs, _: function(_given(inputs, 0), _given(inputs, 1))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def run(inputs: Sequence[Tensor | None], _: Attributes) -> Tensor:
        result = _given(inputs, 0)
        for position in range(1, len(inputs)):
            result = function(result, _given(inputs, position))
        return result

    return run


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def run(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
        tensor = _given(inputs, 0)
        axes = _integers(inputs, 1) or list(attributes.get("axes", range(tensor.ndim)))
        return function(tensor, axes, bool(attributes.get("keepdims", 1)))

    return run


def _given(inputs: Sequence[Tensor | None], position: int) -> Tensor:
    tensor = inputs[position]
    if tensor is None:
        raise ValueError(f"input {position} is missing")
    return tensor


def _integers(inputs: Sequence[Tensor | None], position: int) -> list[int]:
    tensor = inputs[position] if len(inputs) > position else None
    return [] if tensor is None else [int(value) for value in tensor.reshape(-1).tolist()]


def _divide(left: Tensor, right: Tensor) -> Tensor:
    if left.is_floating_point():
        return left / right
    return torch.div(left, right, rounding_mode="trunc")


def _clip(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    low = inputs[1] if len(inputs) > 1 else None
    high = inputs[2] if len(inputs) > 2 else None
    tensor = _given(inputs, 0)
    return tensor if low is None and high is None else torch.clamp(tensor, low, high)


def _reshape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, shape = _given(inputs, 0), _integers(inputs, 1)
    if not attributes.get("allowzero", 0):
        shape = [tensor.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return tensor.reshape(shape)


def _flatten(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, axis = _given(inputs, 0), attributes.get("axis", 1)
    if axis == 1:
        return tensor.flatten(1)
    return tensor.reshape(int(np.prod(tensor.shape[:axis])), -1)


def _squeeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    axes = _integers(inputs, 1)
    tensor = _given(inputs, 0)
    return tensor.squeeze(tuple(axes)) if axes else tensor.squeeze()


def _unsqueeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, axes = _given(inputs, 0), _integers(inputs, 1)
    rank = tensor.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        tensor = tensor.unsqueeze(axis)
    return tensor


def _slice(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, starts, ends = _given(inputs, 0), _integers(inputs, 1), _integers(inputs, 2)
    axes = _integers(inputs, 3) or list(range(len(starts)))
    steps = _integers(inputs, 4) or [1] * len(starts)
    window: list[slice] = [slice(None)] * tensor.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0:
            raise ValueError("a Slice walks backwards")
        window[axis] = slice(start, end, step)
    return tensor[tuple(window)]


def _split(inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Tensor, ...]:
    tensor, axis = _given(inputs, 0), attributes.get("axis", 0)
    sizes = _integers(inputs, 1)
    if not sizes:
        sizes = [tensor.shape[axis] // attributes["num_outputs"]] * attributes["num_outputs"]
    return torch.split_with_sizes(tensor, sizes, axis)


def _gather(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, indices, axis = _given(inputs, 0), _given(inputs, 1), attributes.get("axis", 0)
    size = tensor.shape[axis]
    flat = torch.where(indices < 0, indices + size, indices).reshape(-1)
    picked = tensor.index_select(axis, flat)
    axis %= tensor.ndim
    return picked.reshape(*tensor.shape[:axis], *indices.shape, *tensor.shape[axis + 1 :])


def _cast(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return _given(inputs, 0).to(torch.from_numpy(np.zeros(1, dtype)).dtype)


def _shape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    sizes = list(_given(inputs, 0).shape)[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(sizes, dtype=torch.int64)


def _filled(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    value = torch.from_numpy(np.array(attributes.get("value", np.zeros(1, np.float32))))
    return value.reshape(()).expand(_integers(inputs, 0))


def _normalised(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, order, axis = _given(inputs, 0), attributes.get("p", 2), attributes.get("axis", -1)
    unit: Tensor = tensor / torch.linalg.vector_norm(tensor, order, axis, keepdim=True)
    return unit


def _expand(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor = _given(inputs, 0)
    return tensor.expand(np.broadcast_shapes(tuple(tensor.shape), tuple(_integers(inputs, 1))))


def _where(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return torch.where(_given(inputs, 0), _given(inputs, 1), _given(inputs, 2))


def _concat(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return torch.cat([_given(inputs, position) for position in range(len(inputs))], attributes["axis"])


OPERATORS: dict[str, Operator] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(torch.add),
    "And": _binary(torch.logical_and),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Cos": _unary(torch.cos),
    "Div": _binary(_divide),
    "Dropout": _unary(lambda tensor: tensor),
    "Elu": lambda inputs, attributes: functional.elu(_given(inputs, 0), attributes.get("alpha", 1.0)),
    "Equal": _binary(torch.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": lambda inputs, attributes: functional.gelu(
        _given(inputs, 0), approximate=attributes.get("approximate", "none")
    ),
    "Greater": _binary(torch.gt),
    "GreaterOrEqual": _binary(torch.ge),
    "HardSigmoid": lambda inputs, attributes: torch.clamp(
        attributes.get("alpha", 0.2) * _given(inputs, 0) + attributes.get("beta", 0.5), 0.0, 1.0
    ),
    "HardSwish": _unary(functional.hardswish),
    "Identity": _unary(lambda tensor: tensor),
    "LeakyRelu": lambda inputs, attributes: functional.leaky_relu(_given(inputs, 0), attributes.get("alpha", 0.01)),
    "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le),
    "Log": _unary(torch.log),
    "LogSoftmax": lambda inputs, attributes: torch.log_softmax(_given(inputs, 0), attributes.get("axis", -1)),
    "LpNormalization": _normalised,
    "MatMul": _binary(torch.matmul),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Mul": _binary(torch.mul),
    "Neg": _unary(torch.neg),
    "Not": _unary(torch.logical_not),
    "Pow": _binary(torch.pow),
    "Reciprocal": _unary(torch.reciprocal),
    "ReduceL1": _reduced(lambda tensor, axes, keep: tensor.abs().sum(axes, keep)),
    "ReduceL2": _reduced(lambda tensor, axes, keep: torch.linalg.vector_norm(tensor, 2, axes, keep)),
    "ReduceMax": _reduced(lambda tensor, axes, keep: tensor.amax(axes, keep)),
    "ReduceMean": _reduced(lambda tensor, axes, keep: tensor.mean(axes, keep)),
    "ReduceMin": _reduced(lambda tensor, axes, keep: tensor.amin(axes, keep)),
    "ReduceSum": _reduced(lambda tensor, axes, keep: tensor.sum(axes, keep)),
    "ReduceSumSquare": _reduced(lambda tensor, axes, keep: tensor.square().sum(axes, keep)),
    "Relu": _unary(torch.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _unary(torch.sigmoid),
    "Sign": _unary(torch.sign),
    "Sin": _unary(torch.sin),
    "Slice": _slice,
    "Softmax": lambda inputs, attributes: torch.softmax(_given(inputs, 0), attributes.get("axis", -1)),
    "Softplus": _unary(functional.softplus),
    "Split": _split,
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda inputs, attributes: _given(inputs, 0).permute(
        attributes.get("perm", tuple(range(_given(inputs, 0).ndim - 1, -1, -1)))
    ),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
