"""ONNX pooling, padding and resizing operators as functions on torch tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from slipstream_builder.techniques.conversion.tensors import Attributes, Inputs, Operator, given, integers, optional

PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def torch_padding(pads: Sequence[int]) -> list[int]:
    """Return ONNX pads (begins of all axes, then ends) as torch wants them: last axis first, begin and end together."""
    half = len(pads) // 2
    return [pads[axis + part * half] for axis in reversed(range(half)) for part in (0, 1)]


def spatial_padding(attributes: Attributes, kernel: Sequence[int], sizes: Sequence[int] | None = None) -> list[int]:
    """Return the pads of a convolution or pool for torch; `sizes` are those of the input's spatial axes.

    Raises:
        ValueError: the pads depend on the size of the input (auto_pad SAME_UPPER or SAME_LOWER), and it is not given.
    """
    kind = attributes.get("auto_pad", "NOTSET")
    if kind in {"NOTSET", ""}:
        return torch_padding(attributes.get("pads", (0, 0) * len(kernel)))
    if kind == "VALID":
        return [0, 0] * len(kernel)
    if sizes is None:
        raise ValueError(f"auto_pad {kind} depends on the size of the input")
    ones = (1,) * len(kernel)
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    totals = [
        max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return torch_padding([*less, *more] if kind == "SAME_UPPER" else [*more, *less])


def depends_on_size(attributes: Attributes) -> bool:
    """Say whether the pads follow from the size of the input."""
    return str(attributes.get("auto_pad", "NOTSET")).startswith("SAME")


def _max_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, kernel, ones = given(inputs), attributes["kernel_shape"], (1,) * len(attributes["kernel_shape"])
    pads = spatial_padding(attributes, kernel, tensor.shape[2:])
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(kernel) - 1]
    padded = functional.pad(tensor, pads, value=float("-inf"))
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    pooled: Tensor = pool(padded, kernel, strides, 0, dilations, bool(attributes.get("ceil_mode", 0)))
    return pooled


def _average_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    """Where padding does not count, the mean is over what is not padding."""
    tensor, kernel, ones = given(inputs), attributes["kernel_shape"], (1,) * len(attributes["kernel_shape"])
    pads = spatial_padding(attributes, kernel, tensor.shape[2:])
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(kernel) - 1]

    def mean(values: Tensor) -> Tensor:
        ceil = bool(attributes.get("ceil_mode", 0))
        return pool(functional.pad(values, pads), kernel, attributes.get("strides", ones), 0, ceil)

    if not any(pads) or attributes.get("count_include_pad", 0):
        return mean(tensor)
    return mean(tensor) / mean(torch.ones_like(tensor[:1, :1]))


def _global(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = given(inputs)
    return tensor.mean(tuple(range(2, tensor.ndim)), keepdim=True)


def _global_max(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor = given(inputs)
    return tensor.amax(tuple(range(2, tensor.ndim)), keepdim=True)


def _pad(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, mode, value = given(inputs), attributes.get("mode", "constant"), optional(inputs, 2)
    asked, axes = integers(inputs, 1), integers(inputs, 3) or list(range(tensor.ndim))
    pads = [0] * (2 * tensor.ndim)
    for position, axis in enumerate(axes):
        pads[axis % tensor.ndim] = asked[position]
        pads[axis % tensor.ndim + tensor.ndim] = asked[position + len(axes)]
    if mode == "constant":
        return functional.pad(tensor, torch_padding(pads), value=0.0 if value is None else float(value))
    if pads[0] or pads[1] or pads[tensor.ndim] or pads[tensor.ndim + 1]:
        raise ValueError(f"Pad in mode {mode} over the first two axes")
    return functional.pad(tensor, torch_padding(pads)[: 2 * (tensor.ndim - 2)], PAD_MODES[mode])


def _resize(inputs: Inputs, attributes: Attributes) -> Tensor:
    tensor, mode = given(inputs), attributes.get("mode", "nearest")
    where = attributes.get("coordinate_transformation_mode", "half_pixel")
    sizes = integers(inputs, 3) or _scaled(tensor, given(inputs, 2))
    if attributes.get("axes") or sizes[:2] != list(tensor.shape[:2]):
        raise ValueError("Resize along chosen axes, or of the first two")
    if mode == "nearest":
        return functional.interpolate(tensor, sizes[2:], mode="nearest" if where == "asymmetric" else "nearest-exact")
    if where not in {"half_pixel", "pytorch_half_pixel", "align_corners"} or tensor.ndim not in {3, 4, 5}:
        raise ValueError(f"Resize with coordinates by {where}")
    smooth = ("linear", "bilinear", "trilinear")[tensor.ndim - 3] if mode == "linear" else "bicubic"
    return functional.interpolate(tensor, sizes[2:], mode=smooth, align_corners=where == "align_corners")


def _scaled(tensor: Tensor, scales: Tensor) -> list[int]:
    return [int(size * scale) for size, scale in zip(tensor.shape, scales.tolist(), strict=True)]


POOLING: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global_max,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Resize": _resize,
}
