"""Runs models over the items that decide: per-item scores for the gate."""

from dataclasses import dataclass

import numpy as np

from slipstream_builder.arrays import Array, Scores
from slipstream_builder.errors import ValidationError
from slipstream_builder.gate import bounds
from slipstream_builder.sessions import Session, run_in_batches
from slipstream_builder.validation import dataset, metrics

_BATCH = 64


@dataclass(frozen=True)
class Examination:
    """What every candidate is examined on: the metric and the items that decide."""

    metric: metrics.Metric
    labelled: dataset.Labelled


def require_enough(labelled: dataset.Labelled, max_drop: float, confidence: float, shared: bool) -> None:
    """Accept a set that can decide whether the loss is at most `max_drop`.

    Raises:
        ValidationError: even a candidate that changes nothing could not be shown to be good enough.
    """
    needed = bounds.fewest_items(max_drop, confidence)
    if labelled.items < needed:
        total = -(-needed * dataset.SET_ASIDE // (dataset.SET_ASIDE - 1)) if shared else needed
        aside = " (a quarter is set aside when no unlabelled set is given)" if shared else ""
        raise ValidationError(
            f"validation set: {labelled.items} items decide the gate{aside}; showing a loss of at most {max_drop:.2%} "
            f"at {confidence:.0%} confidence takes at least {total}: add items or raise maxDrop"
        )


def prepare(metric: metrics.Metric, labelled: dataset.Labelled, source: Session) -> Examination:
    """Return the examination; for agreement, the source model's own answers are the labels."""
    if metric.kind != "agreement":
        return Examination(metric, labelled)
    answers = [output.argmax(axis=1) for _, output in run_in_batches(source, labelled.inputs, _BATCH)]
    return Examination(metric, dataset.with_reference(labelled, np.concatenate(answers)))


def scores(session: Session, examination: Examination) -> Scores:
    """Return the per-item scores of the session's model.

    Raises:
        ValidationError: the model's outputs do not have the shape the metric needs.
    """
    labelled, parts = examination.labelled, []
    for part, output in run_in_batches(session, labelled.inputs, _BATCH):
        labels = labelled.labels[part] if labelled.labels is not None else np.empty(0)
        ignore = labelled.ignore[part] if labelled.ignore is not None else None
        parts.append(_score(examination.metric, output, labels, ignore))
    return np.concatenate(parts)


def _score(metric: metrics.Metric, output: Array, labels: Array, ignore: Array | None) -> Scores:
    if metric.task == "regression" and output.shape != labels.shape:
        raise ValidationError(
            f"validation set: 'labels' has items of shape {list(labels.shape[1:])}, the model's first output "
            f"{list(output.shape[1:])}; {metric.name} compares them one by one"
        )
    if metric.task != "regression" and output.ndim != 2:
        raise ValidationError(f"validation.metric: {metric.name} needs an output [items, n], found {output.ndim} axes")
    if metric.task != "regression" and labels.size and labels.max() >= output.shape[1]:
        raise ValidationError(
            f"validation set: 'labels' holds index {labels.max()}; the output has {output.shape[1]} values an item"
        )
    return metrics.score(metric, output, labels, ignore)
