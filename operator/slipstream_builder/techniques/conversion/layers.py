"""The ONNX nodes that carry weights, as torch layers, and the way their weights go back.

Real torch layers are what torch-pruning's dependency graph knows how to shrink. A `Layer` remembers which constants
its weights came from and in which layout, so that the pruned weights return to the same graph under the same names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from slipstream_builder.arrays import Array
from slipstream_builder.techniques.conversion.pooling import depends_on_size, spatial_padding
from slipstream_builder.techniques.conversion.tensors import Attributes
from slipstream_builder.techniques.graphs import attributes

Constants = Mapping[str, Array]


@dataclass(frozen=True)
class Layer:
    """A torch layer, and how its weights are called in the graph.

    `input` names the one tensor the layer reads. `homes` maps parameter (or buffer) names of `module` to constants of
    the graph; those in `transposed` lie there with their two axes swapped.
    """

    module: nn.Module
    input: str
    homes: dict[str, str]
    transposed: frozenset[str] = field(default_factory=frozenset)

    @property
    def holder(self) -> str:
        """The submodule of `module` that holds the parameters."""
        return "convolution" if isinstance(self.module, PaddedConv) else ""

    def alike(self, other: "Layer") -> bool:
        """Say whether the other layer computes the same with the same weights."""
        return repr(self.module) == repr(other.module) and not isinstance(self.module, PaddedConv)

    def weights(self) -> dict[str, Array]:
        """Return the present weights by constant name, in the graph's layout."""
        return {home: self._stored(name) for name, home in self.homes.items()}

    def _stored(self, name: str) -> Array:
        array: Array = getattr(self.module, name).detach().numpy()
        return np.ascontiguousarray(array.T) if name in self.transposed else array


class PaddedConv(nn.Module):
    """A convolution after zero padding that torch's own cannot do: uneven, or following the size of the input.

    `padding` gives the pads for the spatial sizes, in torch's order: last axis first, both ends of each.
    """

    def __init__(
        self, convolution: nn.Conv1d | nn.Conv2d | nn.Conv3d, padding: Callable[[Sequence[int]], list[int]]
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self._padding = padding

    @property
    def weight(self) -> Tensor:
        """The convolution's weight."""
        return self.convolution.weight

    @property
    def bias(self) -> Tensor | None:
        """The convolution's bias."""
        return self.convolution.bias

    def forward(self, tensor: Tensor) -> Tensor:
        """Return the convolution of the padded `tensor`."""
        result: Tensor = self.convolution(functional.pad(tensor, self._padding(tensor.shape[2:])))
        return result


class ChannelNorm(nn.BatchNorm2d):
    """Batch normalisation in inference form over axis 1, for inputs of any rank."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's own name
        """Take every rank: the node was checked by whoever wrote the graph."""


def layer_of(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    """Return the layer that `node` is, or None when its weights are not constants or it is no layer at all.

    Raises:
        ValueError: it is a layer with settings that have no torch counterpart.
    """
    maker = LAYERS.get(node.op_type)
    return None if maker is None else maker(node, constants)


def _floats(constants: Constants, name: str, rank: int) -> Array | None:
    array = constants.get(name)
    return array if array is not None and array.dtype == np.float32 and array.ndim == rank else None


def linear(source: str, weight: Array, homes: dict[str, str], bias: Array | None, swapped: bool) -> Layer:
    """Return a linear layer; `weight` is [in, out] when `swapped`, else [out, in]; `bias` is [out]."""
    kernel = np.ascontiguousarray(weight.T if swapped else weight)
    module = nn.Linear(kernel.shape[1], kernel.shape[0], bias=bias is not None)
    _load(module, weight=kernel, bias=bias)
    return Layer(module, source, homes, frozenset({"weight"} if swapped else ()))


def _gemm(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    given = attributes(node)
    weight = _floats(constants, node.input[1], 2)
    bias = _floats(constants, node.input[2], 1) if len(node.input) > 2 else None
    plain = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA", 0)
    if weight is None or not plain or (len(node.input) > 2 and bias is None):
        return None
    homes = dict(zip(("weight", "bias"), node.input[1:], strict=False))
    return linear(node.input[0], weight, homes, bias, swapped=not given.get("transB", 0))


def _matmul(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    weight = _floats(constants, node.input[1], 2)
    if weight is None:
        return None
    return linear(node.input[0], weight, {"weight": node.input[1]}, None, swapped=True)


def _conv(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    given = attributes(node)
    weight = constants.get(node.input[1])
    if weight is None or weight.dtype != np.float32 or not 3 <= weight.ndim <= 5:
        raise ValueError("its weights are not constant float32 over one to three spatial axes")
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[weight.ndim - 3]
    groups, spatial = given.get("group", 1), weight.shape[2:]
    has_bias = len(node.input) > 2
    module = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        spatial,
        stride=given.get("strides", 1),
        dilation=given.get("dilations", 1),
        groups=groups,
        bias=has_bias,
    )
    _load(module, weight=weight, bias=constants[node.input[2]] if has_bias else None)
    homes = dict(zip(("weight", "bias"), node.input[1:], strict=False))
    return Layer(_padded(module, given, spatial), node.input[0], homes)


def _padded(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, given: Attributes, kernel: Sequence[int]) -> nn.Module:
    if depends_on_size(given):
        return PaddedConv(module, lambda sizes: spatial_padding(given, kernel, sizes))
    pads = spatial_padding(given, kernel)
    begins = pads[0::2]
    if begins == pads[1::2]:
        module.padding = tuple(reversed(begins))
        module._reversed_padding_repeated_twice = list(pads)
        return module
    return PaddedConv(module, lambda _: pads)


def _conv_transpose(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    given, weight = attributes(node), constants.get(node.input[1])
    if weight is None or weight.dtype != np.float32 or not 3 <= weight.ndim <= 5:
        raise ValueError("its weights are not constant float32 over one to three spatial axes")
    pads = [0] * (weight.ndim - 2) if depends_on_size(given) else spatial_padding(given, weight.shape[2:])
    if depends_on_size(given) or "output_shape" in given or pads[0::2] != pads[1::2]:
        raise ValueError("its padding is uneven or follows the size of the input")
    kind: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[weight.ndim - 3]
    groups, has_bias = given.get("group", 1), len(node.input) > 2
    module = kind(
        weight.shape[0],
        weight.shape[1] * groups,
        weight.shape[2:],
        stride=given.get("strides", 1),
        padding=tuple(reversed(pads[0::2])),
        output_padding=given.get("output_padding", 0),
        groups=groups,
        bias=has_bias,
        dilation=given.get("dilations", 1),
    )
    _load(module, weight=weight, bias=constants[node.input[2]] if has_bias else None)
    return Layer(module, node.input[0], dict(zip(("weight", "bias"), node.input[1:], strict=False)))


def _batch_norm(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    given = attributes(node)
    if given.get("training_mode", 0):
        raise ValueError("it is in training mode")
    module = ChannelNorm(len(constants[node.input[1]]), eps=given.get("epsilon", 1e-5))
    names = ("weight", "bias", "running_mean", "running_var")
    _load(module, **{name: constants[home] for name, home in zip(names, node.input[1:], strict=True)})
    return Layer(module, node.input[0], dict(zip(names, node.input[1:], strict=True)))


def _layer_norm(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    """The shape of the scale tells the axes, counted from the last."""
    scale, given = constants.get(node.input[1]), attributes(node)
    bias = constants.get(node.input[2]) if len(node.input) > 2 else None
    if scale is None or scale.dtype != np.float32 or (len(node.input) > 2 and bias is None):
        raise ValueError("its scale or bias is not constant")
    module = nn.LayerNorm(scale.shape, eps=given.get("epsilon", 1e-5), bias=bias is not None)
    _load(module, weight=scale, bias=bias)
    return Layer(module, node.input[0], dict(zip(("weight", "bias"), node.input[1:], strict=False)))


def _embedding(node: onnx.NodeProto, constants: Constants) -> Layer | None:
    table = _floats(constants, node.input[0], 2)
    if table is None or attributes(node).get("axis", 0) != 0 or node.input[1] in constants:
        return None
    module = nn.Embedding(*table.shape)
    _load(module, weight=table)
    return Layer(module, node.input[1], {"weight": node.input[0]})


def _load(module: nn.Module, **arrays: Array | None) -> None:
    with torch.no_grad():
        for name, array in arrays.items():
            if array is not None:
                getattr(module, name).copy_(torch.from_numpy(np.array(array)))


LAYERS: dict[str, Callable[[onnx.NodeProto, Constants], Layer | None]] = {
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gather": _embedding,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
}
