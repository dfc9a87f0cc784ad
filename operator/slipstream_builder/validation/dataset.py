"""Reads the validation and unlabelled sets (`.npz`) and checks them against the model and the metric.

A validation set has one array for every model input, under the input's name, and `labels`; ranking metrics may have
`ignore`. The first axis of every array counts the items. An unlabelled set has the inputs only.
"""

import io
import zipfile
from dataclasses import dataclass, replace

import numpy as np

from slipstream_builder import sessions
from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.metrics import Metric
from slipstream_contract.manifest import TensorSpec

LABELS = "labels"
IGNORE = "ignore"
MAX_UNPACKED_BYTES = 8 << 30
SET_ASIDE = 4


@dataclass(frozen=True)
class Labelled:
    """The items that decide the gate; `labels` is None for a metric that needs none."""

    inputs: Rows
    labels: Array | None
    ignore: Array | None

    @property
    def items(self) -> int:
        """The number of items."""
        return count(self.inputs)

    def part(self, indices: Array) -> "Labelled":
        """Return the items at `indices`."""
        pick = [None if array is None else array[indices] for array in (self.labels, self.ignore)]
        return Labelled(take(self.inputs, indices), pick[0], pick[1])


def read_labelled(data: bytes, inputs: tuple[TensorSpec, ...], output: TensorSpec, metric: Metric) -> Labelled:
    """Return the validation set in `data`, checked.

    Raises:
        ValidationError: the arrays do not fit the model's inputs, its first output or the metric.
    """
    arrays = _read(data, "validation set")
    labels, ignore = arrays.pop(LABELS, None), arrays.pop(IGNORE, None)
    _check_inputs(arrays, inputs, "validation set")
    found = Labelled(arrays, labels, ignore)
    _check_labels(found, output, metric)
    return found


def read_unlabelled(data: bytes, inputs: tuple[TensorSpec, ...]) -> Rows:
    """Return the unlabelled set in `data`, checked.

    Raises:
        ValidationError: the arrays do not fit the model's inputs.
    """
    arrays = {name: array for name, array in _read(data, "unlabelled set").items() if name not in (LABELS, IGNORE)}
    _check_inputs(arrays, inputs, "unlabelled set")
    return arrays


def set_aside(labelled: Labelled, seed: int) -> tuple[Labelled, Rows]:
    """Split a quarter of the items off, for calibration and distillation; the rest decides the gate."""
    order = np.random.default_rng(seed).permutation(labelled.items)
    cut = max(1, labelled.items // SET_ASIDE)
    return labelled.part(np.sort(order[cut:])), take(labelled.inputs, np.sort(order[:cut]))


def with_reference(labelled: Labelled, top1: Array) -> Labelled:
    """Return the set with the source model's answers as its labels."""
    return replace(labelled, labels=top1)


def _read(data: bytes, what: str) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise ValidationError(f"{what}: unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB; use fewer items")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as error:
        line = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ValidationError(
            f"{what}: not a readable .npz of plain arrays ({line}); write it with np.savez"
        ) from error


def _check_inputs(arrays: dict[str, Array], inputs: tuple[TensorSpec, ...], what: str) -> None:
    wanted = {spec.name for spec in inputs}
    if missing := sorted(wanted - arrays.keys()):
        raise ValidationError(
            f"{what}: array {missing[0]!r} is missing; the model's inputs are {', '.join(sorted(wanted))}, "
            f"found {', '.join(sorted(arrays)) or 'none'}"
        )
    if extra := sorted(arrays.keys() - wanted):
        raise ValidationError(
            f"{what}: array {extra[0]!r} is no input of the model ({', '.join(sorted(wanted))}); remove or rename it"
        )
    for spec in inputs:
        _check_input(arrays[spec.name], spec, what)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValidationError(f"{what}: arrays differ in their number of items: {lengths}")
    if 0 in lengths.values():
        raise ValidationError(f"{what}: it holds no items")


def _check_input(array: Array, spec: TensorSpec, what: str) -> None:
    dtype = sessions.numpy_dtype(spec)
    if array.dtype != dtype:
        raise ValidationError(
            f"{what}: array {spec.name!r} is {array.dtype}, the model takes {dtype}; convert it with .astype"
        )
    fits = array.ndim == len(spec.shape) and all(
        wanted in (-1, found) for wanted, found in zip(spec.shape[1:], array.shape[1:], strict=False)
    )
    if not fits:
        wanted = ", ".join("any" if size < 0 else str(size) for size in spec.shape[1:])
        raise ValidationError(
            f"{what}: array {spec.name!r} has shape {list(array.shape)}, the model takes [items, {wanted}]"
        )
    _check_finite(array, spec.name, what)


def _check_finite(array: Array, name: str, what: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        item = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValidationError(f"{what}: array {name!r} holds NaN or infinity (item {item}); remove such items")


def _check_labels(labelled: Labelled, output: TensorSpec, metric: Metric) -> None:
    if labelled.ignore is not None and metric.task != "ranking":
        raise ValidationError(f"validation set: 'ignore' goes with ranking metrics, not with {metric.name}; remove it")
    if metric.kind == "agreement":
        return
    labels = labelled.labels
    if labels is None:
        raise ValidationError(f"validation set: array 'labels' is missing; {metric.name} compares with it")
    if len(labels) != labelled.items:
        raise ValidationError(f"validation set: 'labels' has {len(labels)} items, the inputs have {labelled.items}")
    if metric.task == "regression":
        _check_targets(labels, output, metric)
    else:
        _check_indices(labels, "labels", output, metric)
        if metric.task == "ranking":
            _check_ranking(labelled, labels, output, metric)


def _check_targets(labels: Array, output: TensorSpec, metric: Metric) -> None:
    if labels.dtype.kind not in "fiu":
        raise ValidationError(f"validation set: 'labels' is {labels.dtype}; {metric.name} needs numbers")
    fits = labels.ndim == len(output.shape) and all(
        wanted in (-1, found) for wanted, found in zip(output.shape[1:], labels.shape[1:], strict=False)
    )
    if not fits:
        raise ValidationError(
            f"validation set: 'labels' has shape {list(labels.shape)}, output {output.name!r} has "
            f"{list(output.shape)}; {metric.name} compares them one by one"
        )
    _check_finite(labels, LABELS, "validation set")


def _check_indices(indices: Array, name: str, output: TensorSpec, metric: Metric) -> None:
    axes = 2 if metric.task == "ranking" else 1
    if len(output.shape) != 2:
        raise ValidationError(
            f"validation.metric: {metric.name} needs an output [items, n]; {output.name!r} has {len(output.shape)} "
            "axes: use mae or mse"
        )
    if indices.dtype.kind not in "iu" or indices.ndim != axes:
        shape = "[items, m], padded with -1" if axes == 2 else "[items]"
        raise ValidationError(
            f"validation set: {name!r} is {indices.dtype} with shape {list(indices.shape)}; {metric.name} needs "
            f"integers with shape {shape}"
        )
    lowest, width = (-1 if axes == 2 else 0), output.shape[1]
    if indices.size and (indices.min() < lowest or (width > 0 and indices.max() >= width)):
        raise ValidationError(
            f"validation set: {name!r} ranges from {indices.min()} to {indices.max()}; output {output.name!r} has "
            f"indices {lowest} to {width - 1}"
        )


def _check_ranking(labelled: Labelled, labels: Array, output: TensorSpec, metric: Metric) -> None:
    if (empty := np.flatnonzero((labels < 0).all(axis=1))).size:
        raise ValidationError(
            f"validation set: item {empty[0]} has no relevant output in 'labels' ({len(empty)} such items); remove them"
        )
    if labelled.ignore is None:
        return
    if len(labelled.ignore) != labelled.items:
        raise ValidationError(
            f"validation set: 'ignore' has {len(labelled.ignore)} items, the inputs have {labelled.items}"
        )
    _check_indices(labelled.ignore, IGNORE, output, metric)
