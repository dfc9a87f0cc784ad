"""What the functions on torch tensors share: a node's inputs, None where an optional one is absent, and attributes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Attributes = dict[str, Any]
Inputs = Sequence[Tensor | None]
Operator = Callable[[Inputs, Attributes], Tensor | tuple[Tensor, ...]]

OPSET = "opset"
"""The attribute under which every function finds the version of the operator set."""
OUTPUTS = "outputs"
"""The attribute under which every function finds the number of the node's outputs."""


def given(inputs: Inputs, position: int = 0) -> Tensor:
    """Return the input at `position`.

    Raises:
        ValueError: it is absent.
    """
    tensor = optional(inputs, position)
    if tensor is None:
        raise ValueError(f"input {position} is missing")
    return tensor


def optional(inputs: Inputs, position: int) -> Tensor | None:
    """Return the input at `position`, None where it is absent."""
    return inputs[position] if len(inputs) > position else None


def integers(inputs: Inputs, position: int) -> list[int]:
    """Return the values of the input at `position`, none where it is absent."""
    tensor = optional(inputs, position)
    return [] if tensor is None else [int(value) for value in tensor.reshape(-1).tolist()]


def axes_of(inputs: Inputs, attributes: Attributes, position: int = 1) -> list[int]:
    """Return the axes, an input in newer operator sets and an attribute in older ones; none where not given."""
    return integers(inputs, position) or list(attributes.get("axes", ()))


def unary(function: Callable[[Tensor], Tensor]) -> Operator:
    """Return the operator of one input."""
    return lambda inputs, _: function(given(inputs))


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return the operator of two inputs."""
    return lambda inputs, _: function(given(inputs, 0), given(inputs, 1))


def folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return the operator of one input or more, taken together from the left."""

    def run(inputs: Inputs, _: Attributes) -> Tensor:
        result = given(inputs)
        for position in range(1, len(inputs)):
            result = function(result, given(inputs, position))
        return result

    return run


def reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    """Return the reduction over the axes given, or over all."""

    def run(inputs: Inputs, attributes: Attributes) -> Tensor:
        tensor, axes = given(inputs), axes_of(inputs, attributes)
        if not axes and attributes.get("noop_with_empty_axes", 0):
            return tensor
        return function(tensor, axes or list(range(tensor.ndim)), bool(attributes.get("keepdims", 1)))

    return run


def divided(left: Tensor, right: Tensor) -> Tensor:
    """Return the quotient; of integers, cut towards 0."""
    return left / right if left.is_floating_point() else torch.div(left, right, rounding_mode="trunc")
