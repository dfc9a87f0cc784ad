"""ONNX operators that compute without layers of weights, each as a function on torch tensors.

The semantics are those of the ONNX operator specification from opset 11 on. What trains badly or not at all is
refused, with the reason in `REFUSED`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from slipstream_builder.techniques.conversion.shaping import SHAPING
from slipstream_builder.techniques.conversion.tensors import (
    OPSET,
    Attributes,
    Inputs,
    Operator,
    binary,
    divided,
    folded,
    given,
    optional,
    reduced,
    unary,
)

LAST_AXIS_OPSET = 13

_RECURRENT = "its loop over time steps is not unrolled"
_CONTROL_FLOW = "which way it goes is only known at run time"
REFUSED = {
    "GRU": _RECURRENT,
    "LSTM": _RECURRENT,
    "RNN": _RECURRENT,
    "If": _CONTROL_FLOW,
    "Loop": _CONTROL_FLOW,
    "Scan": _CONTROL_FLOW,
    "DequantizeLinear": "the model is quantised already",
    "MatMulInteger": "the model is quantised already",
    "QuantizeLinear": "the model is quantised already",
}


def _clip(inputs: Inputs, attributes: Attributes) -> Tensor:
    low, high, tensor = optional(inputs, 1), optional(inputs, 2), given(inputs)
    return tensor if low is None and high is None else torch.clamp(tensor, low, high)


def _softmaxed(function: Any) -> Operator:
    """Until opset 13 all axes from the given one on, 1 by default, were taken as one."""

    def run(inputs: Inputs, attributes: Attributes) -> Tensor:
        tensor = given(inputs)
        if attributes[OPSET] >= LAST_AXIS_OPSET:
            scores: Tensor = function(tensor, attributes.get("axis", -1))
            return scores
        axis = attributes.get("axis", 1) % tensor.ndim
        joined: Tensor = function(tensor.flatten(axis), -1)
        return joined.reshape(tensor.shape)

    return run


def _gemm(inputs: Inputs, attributes: Attributes) -> Tensor:
    left, right, bias = given(inputs, 0), given(inputs, 1), optional(inputs, 2)
    left = left.T if attributes.get("transA", 0) else left
    right = right.T if attributes.get("transB", 0) else right
    product: Tensor = (left @ right) * attributes.get("alpha", 1.0)
    return product if bias is None else product + bias * attributes.get("beta", 1.0)


def _unit(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, order, axis = given(inputs), attributes.get("p", 2), attributes.get("axis", -1)
    unit: Tensor = tensor / torch.linalg.vector_norm(tensor, order, axis, keepdim=True)
    return unit


def _instance_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    return functional.instance_norm(
        given(inputs), weight=given(inputs, 1), bias=given(inputs, 2), eps=attributes.get("epsilon", 1e-5)
    )


def _group_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    """Scale and bias are one a group before opset 21, one a channel since."""
    tensor, scale, bias = given(inputs), given(inputs, 1), given(inputs, 2)
    if len(scale) != tensor.shape[1]:
        repeats = tensor.shape[1] // len(scale)
        scale, bias = scale.repeat_interleave(repeats), bias.repeat_interleave(repeats)
    return functional.group_norm(tensor, attributes["num_groups"], scale, bias, attributes.get("epsilon", 1e-5))


def _root_mean_square_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    scale = given(inputs, 1)
    return functional.rms_norm(given(inputs), scale.shape, scale, attributes.get("epsilon", 1e-5))


def _hard_sigmoid(inputs: Inputs, attributes: Attributes) -> Tensor:
    return torch.clamp(attributes.get("alpha", 0.2) * given(inputs) + attributes.get("beta", 0.5), 0.0, 1.0)


def _mod(inputs: Inputs, attributes: Attributes) -> Tensor:
    function = torch.fmod if attributes.get("fmod", 0) else torch.remainder
    return function(given(inputs, 0), given(inputs, 1))


def _parametric_relu(tensor: Tensor, slope: Tensor) -> Tensor:
    return torch.where(tensor < 0, tensor * slope, tensor)


def _sum(inputs: Inputs, attributes: Attributes) -> Tensor:
    total = given(inputs)
    for position in range(1, len(inputs)):
        total = total + given(inputs, position)
    return total


OPERATORS: dict[str, Operator] = {
    **SHAPING,
    "Abs": unary(torch.abs),
    "Add": binary(torch.add),
    "And": binary(torch.logical_and),
    "Atan": unary(torch.atan),
    "Ceil": unary(torch.ceil),
    "Celu": lambda inputs, attributes: functional.celu(given(inputs), attributes.get("alpha", 1.0)),
    "Clip": _clip,
    "Cos": unary(torch.cos),
    "Div": binary(divided),
    "Einsum": lambda inputs, attributes: torch.einsum(
        attributes["equation"], *(given(inputs, position) for position in range(len(inputs)))
    ),
    "Elu": lambda inputs, attributes: functional.elu(given(inputs), attributes.get("alpha", 1.0)),
    "Equal": binary(torch.eq),
    "Erf": unary(torch.erf),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Gelu": lambda inputs, attributes: functional.gelu(
        given(inputs), approximate=attributes.get("approximate", "none")
    ),
    "Gemm": _gemm,
    "Greater": binary(torch.gt),
    "GreaterOrEqual": binary(torch.ge),
    "GroupNormalization": _group_norm,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": unary(functional.hardswish),
    "InstanceNormalization": _instance_norm,
    "IsInf": unary(torch.isinf),
    "IsNaN": unary(torch.isnan),
    "LeakyRelu": lambda inputs, attributes: functional.leaky_relu(given(inputs), attributes.get("alpha", 0.01)),
    "Less": binary(torch.lt),
    "LessOrEqual": binary(torch.le),
    "Log": unary(torch.log),
    "LogSoftmax": _softmaxed(torch.log_softmax),
    "LpNormalization": _unit,
    "MatMul": binary(torch.matmul),
    "Max": folded(torch.maximum),
    "Mean": lambda inputs, attributes: _sum(inputs, attributes) / len(inputs),
    "Min": folded(torch.minimum),
    "Mish": unary(functional.mish),
    "Mod": _mod,
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Or": binary(torch.logical_or),
    "PRelu": binary(_parametric_relu),
    "Pow": binary(torch.pow),
    "RMSNormalization": _root_mean_square_norm,
    "Reciprocal": unary(torch.reciprocal),
    "ReduceL1": reduced(lambda tensor, axes, keep: tensor.abs().sum(axes, keep)),
    "ReduceL2": reduced(lambda tensor, axes, keep: torch.linalg.vector_norm(tensor, 2, axes, keep)),
    "ReduceLogSumExp": reduced(lambda tensor, axes, keep: tensor.logsumexp(axes, keep)),
    "ReduceMax": reduced(lambda tensor, axes, keep: tensor.amax(axes, keep)),
    "ReduceMean": reduced(lambda tensor, axes, keep: tensor.mean(axes, keep)),
    "ReduceMin": reduced(lambda tensor, axes, keep: tensor.amin(axes, keep)),
    "ReduceSum": reduced(lambda tensor, axes, keep: tensor.sum(axes, keep)),
    "ReduceSumSquare": reduced(lambda tensor, axes, keep: tensor.square().sum(axes, keep)),
    "Relu": unary(torch.relu),
    "Round": unary(torch.round),
    "Selu": unary(functional.selu),
    "Sigmoid": unary(torch.sigmoid),
    "Sign": unary(torch.sign),
    "Sin": unary(torch.sin),
    "Softmax": _softmaxed(torch.softmax),
    "Softplus": unary(functional.softplus),
    "Softsign": unary(functional.softsign),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(torch.sub),
    "Sum": _sum,
    "Swish": lambda inputs, attributes: given(inputs) * torch.sigmoid(attributes.get("alpha", 1.0) * given(inputs)),
    "Tanh": unary(torch.tanh),
    "Xor": binary(torch.logical_xor),
}
