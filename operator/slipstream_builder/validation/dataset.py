"""Checks the validation and unlabelled sets against the model and the metric.

A validation set has one array for every model input, under the input's name, and `labels` where the metric compares
with them; `slices` may name a slice for every item, and ranking metrics may have `ignore`. The first axis of every
array counts the items. An unlabelled set has the inputs, and may have `labels` to learn from.
"""

from dataclasses import dataclass

import numpy as np

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import fitting, labels
from slipstream_builder.validation.formats import reading
from slipstream_builder.validation.metrics import Metric
from slipstream_contract.manifest import TensorSpec

SET_ASIDE = 4
_VALIDATION = "validation set"
_UNLABELLED = "unlabelled set"


@dataclass(frozen=True)
class Labelled:
    """The items that decide the gate; `labels`, `ignore` and `slices` are None where the set has none."""

    inputs: Rows
    labels: Array | None
    ignore: Array | None = None
    slices: Array | None = None

    @property
    def items(self) -> int:
        """The number of items."""
        return count(self.inputs)

    def part(self, indices: Array | slice) -> "Labelled":
        """Return the items at `indices`."""
        pick = [None if array is None else array[indices] for array in (self.labels, self.ignore, self.slices)]
        return Labelled(take(self.inputs, indices), *pick)


@dataclass(frozen=True)
class Unlabelled:
    """Inputs to calibrate and distil with, and labels to learn from where the set has any."""

    inputs: Rows
    labels: Array | None


def read_labelled(
    data: bytes, inputs: tuple[TensorSpec, ...], output: TensorSpec, metric: Metric
) -> tuple[Labelled, tuple[str, ...]]:
    """Return the validation set in `data`, checked, and what was converted, in words.

    Raises:
        ValidationError: the arrays do not fit the model's inputs, its first output or the metric.
    """
    arrays, others = _read(data, inputs, _VALIDATION)
    rows, notes = _inputs(arrays, inputs, _VALIDATION)
    items = count(rows)
    found = _as_targets(others[labels.LABELS], output, metric)
    labels.check(found, items, output, metric, _VALIDATION)
    labels.check_ignore(others[labels.IGNORE], items, output, metric, _VALIDATION)
    labels.check_slices(others[labels.SLICES], items, _VALIDATION)
    return Labelled(rows, found, others[labels.IGNORE], others[labels.SLICES]), notes


def read_unlabelled(
    data: bytes, inputs: tuple[TensorSpec, ...], output: TensorSpec, metric: Metric | None
) -> tuple[Unlabelled, tuple[str, ...]]:
    """Return the unlabelled set in `data`, checked, and what was converted, in words.

    Its labels count only where the metric says what labels mean.

    Raises:
        ValidationError: the arrays do not fit the model's inputs, or the labels the metric.
    """
    arrays, others = _read(data, inputs, _UNLABELLED)
    rows, notes = _inputs(arrays, inputs, _UNLABELLED)
    found = others[labels.LABELS]
    if metric is None or not metric.needs_labels or found is None:
        return Unlabelled(rows, None), notes
    found = _as_targets(found, output, metric)
    labels.check(found, count(rows), output, metric, _UNLABELLED)
    return Unlabelled(rows, found), notes


def set_aside(labelled: Labelled, metric: Metric, seed: int) -> tuple[Labelled, Unlabelled]:
    """Split a quarter of the items off, for calibration and distillation; the rest decides the gate."""
    order = np.random.default_rng(seed).permutation(labelled.items)
    cut = max(1, labelled.items // SET_ASIDE)
    aside = labelled.part(np.sort(order[:cut]))
    known = aside.labels if metric.needs_labels else None
    return labelled.part(np.sort(order[cut:])), Unlabelled(aside.inputs, known)


def _read(data: bytes, inputs: tuple[TensorSpec, ...], what: str) -> tuple[dict[str, Array], dict[str, Array | None]]:
    """Return the arrays for the inputs, and those with a meaning of their own."""
    if clash := [spec.name for spec in inputs if spec.name in labels.NAMES]:
        raise ValidationError(
            f"{what}: the model has an input called {clash[0]!r}, which means something else here; rename it there"
        )
    arrays = reading.read(data, what)
    return arrays, {name: arrays.pop(name, None) for name in labels.NAMES}


def _inputs(
    arrays: dict[str, Array], inputs: tuple[TensorSpec, ...], what: str
) -> tuple[dict[str, Array], tuple[str, ...]]:
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
    if scalar := sorted(name for name, array in arrays.items() if array.ndim == 0):
        raise ValidationError(f"{what}: array {scalar[0]!r} is a single number; its first axis must count the items")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValidationError(f"{what}: arrays differ in their number of items: {lengths}")
    if 0 in lengths.values():
        raise ValidationError(f"{what}: it holds no items")
    fitted = {spec.name: fitting.fit(arrays[spec.name], spec, what) for spec in inputs}
    return {name: array for name, (array, _) in fitted.items()}, tuple(
        note for _, notes in fitted.values() for note in notes
    )


def _as_targets(found: Array | None, output: TensorSpec, metric: Metric) -> Array | None:
    """Return labels [items] of a regression with one value an item in the output's shape [items, 1]."""
    column = metric.task == "regression" and output.shape[1:] == (1,)
    return found.reshape(-1, 1) if found is not None and found.ndim == 1 and column else found
