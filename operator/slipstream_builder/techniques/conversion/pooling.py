"""ONNX pooling and padding operators as functions on torch tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from slipstream_builder.techniques.conversion.operators import Attributes, Operator


def torch_padding(pads: Sequence[int]) -> list[int]:
    """Return ONNX pads (begins of all axes, then ends) as torch wants them: last axis first, begin and end together."""
    half = len(pads) // 2
    return [pads[axis + part * half] for axis in reversed(range(half)) for part in (0, 1)]


def spatial_padding(attributes: Attributes, kernel: Sequence[int]) -> list[int]:
    """Return the pads of a convolution or pool for torch.

    Raises:
        ValueError: the pads depend on the size of the input (auto_pad SAME_UPPER or SAME_LOWER).
    """
    kind = attributes.get("auto_pad", "NOTSET")
    if kind in {"NOTSET", ""}:
        return torch_padding(attributes.get("pads", (0, 0) * len(kernel)))
    if kind == "VALID":
        return [0, 0] * len(kernel)
    raise ValueError(f"auto_pad {kind} depends on the size of the input")


def _first(inputs: Sequence[Tensor | None]) -> Tensor:
    tensor = inputs[0]
    if tensor is None:
        raise ValueError("input 0 is missing")
    return tensor


def _max_pool(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, kernel = _first(inputs), attributes["kernel_shape"]
    _floor_only(attributes)
    tensor = functional.pad(tensor, spatial_padding(attributes, kernel), value=float("-inf"))
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(kernel) - 1]
    ones = (1,) * len(kernel)
    return pool(tensor, kernel, attributes.get("strides", ones), 0, attributes.get("dilations", ones))


def _average_pool(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor, kernel = _first(inputs), attributes["kernel_shape"]
    _floor_only(attributes)
    padding = spatial_padding(attributes, kernel)
    if any(padding) and not attributes.get("count_include_pad", 0):
        raise ValueError("an AveragePool leaves its padding out of the mean")
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(kernel) - 1]
    return pool(functional.pad(tensor, padding), kernel, attributes.get("strides", (1,) * len(kernel)))


def _floor_only(attributes: Attributes) -> None:
    if attributes.get("ceil_mode", 0):
        raise ValueError("a pool rounds its output size up")


def _global(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor = _first(inputs)
    return tensor.mean(tuple(range(2, tensor.ndim)), keepdim=True)


def _global_max(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    tensor = _first(inputs)
    return tensor.amax(tuple(range(2, tensor.ndim)), keepdim=True)


def _pad(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    mode = attributes.get("mode", "constant")
    pads, value = inputs[1], inputs[2] if len(inputs) > 2 else None
    if mode != "constant" or pads is None or (len(inputs) > 3 and inputs[3] is not None):
        raise ValueError(f"Pad in mode {mode}, or along chosen axes")
    fill = 0.0 if value is None else float(value)
    return functional.pad(_first(inputs), torch_padding([int(pad) for pad in torch.flatten(pads).tolist()]), value=fill)


POOLING: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global_max,
    "MaxPool": _max_pool,
    "Pad": _pad,
}
