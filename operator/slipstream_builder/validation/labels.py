"""Checks labels, ignored outputs and slices against the items, the model's first output and the metric; pure."""

import numpy as np

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.fitting import check_finite
from slipstream_builder.validation.metrics import Metric
from slipstream_contract.manifest import TensorSpec

LABELS = "labels"
IGNORE = "ignore"
SLICES = "slices"
NAMES = (LABELS, IGNORE, SLICES)


def check(labels: Array | None, items: int, output: TensorSpec, metric: Metric, what: str) -> None:
    """Accept the labels of `items` items for `metric`; a metric of one's own judges what it gets itself.

    Raises:
        ValidationError: they are missing, or are not what the metric compares the output with; or the metric is none
            for such an output.
    """
    _check_output(output, metric)
    if labels is None:
        if metric.needs_labels:
            raise ValidationError(f"{what}: array 'labels' is missing; {metric.name} compares with it")
        return
    check_length(labels, LABELS, items, what)
    check_finite(labels, LABELS, what)
    if not metric.needs_labels:
        return
    if metric.task == "regression":
        _check_targets(labels, output, metric, what)
    elif metric.task == "ranking":
        _check_indices(labels, LABELS, output, metric, what)
        if (empty := np.flatnonzero((labels < 0).all(axis=1))).size:
            raise ValidationError(
                f"{what}: item {empty[0]} has no relevant output in 'labels' ({len(empty)} such items); remove them"
            )
    else:
        _check_classes(labels, output, metric, what)


def check_ignore(ignore: Array | None, items: int, output: TensorSpec, metric: Metric, what: str) -> None:
    """Accept the outputs that do not compete, for a ranking metric with labels.

    Raises:
        ValidationError: the metric has no use for them, or they are not lists of indices.
    """
    if ignore is None:
        return
    if metric.task != "ranking" or not metric.needs_labels:
        raise ValidationError(f"{what}: 'ignore' goes with ranking metrics, not with {metric.name}; remove it")
    check_length(ignore, IGNORE, items, what)
    _check_indices(ignore, IGNORE, output, metric, what)


def check_slices(slices: Array | None, items: int, what: str) -> None:
    """Accept the names of the slices that items belong to: integers or strings, [items].

    Raises:
        ValidationError: they are of another kind or shape.
    """
    if slices is None:
        return
    if slices.ndim != 1 or slices.dtype.kind not in "iuUS":
        raise ValidationError(
            f"{what}: 'slices' is {slices.dtype} with shape {list(slices.shape)}; give an integer or a string an item"
        )
    check_length(slices, SLICES, items, what)


def check_length(array: Array, name: str, items: int, what: str) -> None:
    """Accept an array with one entry an item.

    Raises:
        ValidationError: it has more or fewer.
    """
    if array.ndim == 0 or len(array) != items:
        found = f"{len(array)} items" if array.ndim else "no items"
        raise ValidationError(f"{what}: {name!r} has {found}, the inputs have {items}")


def _check_targets(labels: Array, output: TensorSpec, metric: Metric, what: str) -> None:
    if labels.dtype.kind not in "fiu":
        raise ValidationError(f"{what}: 'labels' is {labels.dtype}; {metric.name} needs numbers")
    fits = labels.ndim == len(output.shape) and all(
        wanted in (-1, found) for wanted, found in zip(output.shape[1:], labels.shape[1:], strict=True)
    )
    if not fits:
        raise ValidationError(
            f"{what}: 'labels' has shape {list(labels.shape)}, output {output.name!r} has {list(output.shape)}; "
            f"{metric.name} compares them one by one"
        )


def _check_classes(labels: Array, output: TensorSpec, metric: Metric, what: str) -> None:
    width = 2 if _is_one_score(output, metric) else output.shape[1]
    _check_integers(labels, LABELS, "[items]", 1, metric, what)
    _check_range(labels, LABELS, 0, width, output, what)
    if metric.kind == "auc" and len(np.unique(labels)) < 2:
        raise ValidationError(f"{what}: 'labels' holds only {labels[0]}; auc needs items of both 0 and 1")
    if metric.kind == "f1" and not labels.any():
        raise ValidationError(f"{what}: 'labels' holds only 0; f1 of labels 0 and 1 is that of class 1")


def _check_indices(indices: Array, name: str, output: TensorSpec, metric: Metric, what: str) -> None:
    _check_integers(indices, name, "[items, m], padded with -1", 2, metric, what)
    _check_range(indices, name, -1, output.shape[1], output, what)


def _check_output(output: TensorSpec, metric: Metric) -> None:
    if metric.task in ("regression", "policy") or metric.kind == "own" or _is_one_score(output, metric):
        return
    told = f"validation.metric: {metric.name}"
    if len(output.shape) != 2:
        raise ValidationError(
            f"{told} needs an output [items, n]; {output.name!r} has {len(output.shape)} axes: use mae or mse"
        )
    width = output.shape[1]
    if metric.kind == "auc" and width > 2:
        raise ValidationError(f"{told} needs one score or two classes; {output.name!r} has {width}: use f1 or accuracy")
    if metric.kind != "neighbors" and width == 1:
        raise ValidationError(f"{told} needs several values an item; {output.name!r} has one: use accuracy, mae or mse")
    if metric.kind == "accuracy@" and 0 < width <= metric.k:
        raise ValidationError(f"{told} is always 1 for the {width} classes of {output.name!r}; take a smaller K")


def _is_one_score(output: TensorSpec, metric: Metric) -> bool:
    return metric.decides_one_score and (len(output.shape) == 1 or output.shape[1:] == (1,))


def _check_integers(array: Array, name: str, shape: str, axes: int, metric: Metric, what: str) -> None:
    if array.dtype.kind not in "iu" or array.ndim != axes:
        raise ValidationError(
            f"{what}: {name!r} is {array.dtype} with shape {list(array.shape)}; {metric.name} needs integers with "
            f"shape {shape}"
        )


def _check_range(array: Array, name: str, lowest: int, width: int, output: TensorSpec, what: str) -> None:
    if array.size and (array.min() < lowest or (width > 0 and array.max() >= width)):
        raise ValidationError(
            f"{what}: {name!r} ranges from {array.min()} to {array.max()}; output {output.name!r} has indices "
            f"{lowest} to {width - 1}"
        )
