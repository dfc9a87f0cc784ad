"""Brings an array of a data set to the dtype and shape that the model's input has, where nothing is lost by it; pure.

A cast is made where every value stays what it was: exactly, or, between floating types, to the precision of float32
(a double is rounded to it). An array whose items are flat, as a column of a table is, is laid out in the input's own
shape in row order. Whatever is done is noted.
"""

import math
from typing import Any

import numpy as np

from slipstream_builder import sessions
from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_contract.manifest import TensorSpec

_ROUNDING = float(np.finfo(np.float32).eps)
_SMALLEST = float(np.finfo(np.float32).tiny)
_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def fit(array: Array, spec: TensorSpec, what: str) -> tuple[Array, tuple[str, ...]]:
    """Return `array` as the input `spec` takes it, and what was changed, in words.

    Raises:
        ValidationError: its shape is another, it holds NaN or infinity, or its dtype would lose something.
    """
    laid_out = _lay_out(array, spec, what)
    check_finite(laid_out, spec.name, what)
    cast = _cast(laid_out, spec, what)
    notes = []
    if laid_out.shape != array.shape:
        shapes = f"{_shape(array.shape)} was laid out as {_shape(laid_out.shape)}, in row order"
        notes.append(f"{what}: array {spec.name!r} {shapes}")
    if cast.dtype != array.dtype:
        notes.append(f"{what}: array {spec.name!r} was converted from {array.dtype} to {cast.dtype}")
    return np.ascontiguousarray(cast), tuple(notes)


def check_finite(array: Array, name: str, what: str) -> None:
    """Accept an array without NaN and infinity.

    Raises:
        ValidationError: it holds one; the message names the item.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        item = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValidationError(f"{what}: array {name!r} holds NaN or infinity (item {item}); remove such items")


def _lay_out(array: Array, spec: TensorSpec, what: str) -> Array:
    wanted = spec.shape[1:]
    if array.ndim == len(spec.shape) and all(
        size in (-1, found) for size, found in zip(wanted, array.shape[1:], strict=True)
    ):
        return array
    if array.ndim in (1, 2) and min(wanted, default=1) > 0 and math.prod(array.shape[1:]) == math.prod(wanted):
        return array.reshape(len(array), *wanted)
    raise ValidationError(
        f"{what}: array {spec.name!r} has shape {list(array.shape)}, the model takes "
        f"[{', '.join(['items', *('any' if size < 0 else str(size) for size in wanted)])}]"
    )


def _cast(array: Array, spec: TensorSpec, what: str) -> Array:
    dtype = sessions.numpy_dtype(spec)
    if array.dtype == dtype:
        return array
    told = f"{what}: array {spec.name!r} is {array.dtype}, the model takes {dtype}"
    if array.dtype.kind not in _RANK or _RANK[array.dtype.kind] > _RANK[dtype.kind]:
        raise ValidationError(f"{told}; convert it with .astype(np.{dtype})")
    with np.errstate(over="ignore", invalid="ignore"):
        after = array.astype(dtype)
    kept = _kept(array, after)
    if not kept.all():
        item = tuple(np.argwhere(~kept)[0])
        raise ValidationError(
            f"{told}, which cannot hold {array[item]} (item {item[0]}); convert it yourself with "
            f".astype(np.{dtype}) if that loss is meant"
        )
    return after


def _kept(before: Array, after: Array) -> Array:
    """Return where a value stayed what it was."""
    if after.dtype.kind != "f":
        return np.asarray(after == before)
    wide: np.ndarray[Any, np.dtype[np.float64]] = before.astype(np.float64)
    if before.dtype.kind != "f":
        return np.asarray((after.astype(np.float64) == wide) & (np.abs(wide) <= 2.0**53))
    return np.asarray(np.abs(after.astype(np.float64) - wide) <= _ROUNDING * np.abs(wide) + _SMALLEST)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(['items', *map(str, shape[1:])])}]"
