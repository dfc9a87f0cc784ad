"""Runs models over the items or episodes that decide: one score an item for the gate."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from slipstream_builder import sessions
from slipstream_builder.arrays import Array, Policy, Scores
from slipstream_builder.errors import ValidationError
from slipstream_builder.gate import bounds
from slipstream_builder.sessions import Session, run_in_batches
from slipstream_builder.validation import dataset, episodes, metrics, own
from slipstream_contract.recipe import Validation

Deciding = dataset.Labelled | episodes.Episodes
"""What decides the gate: held-out items, or seeded episodes."""

_BATCH = 64
_MOST_NEIGHBORS = 50_000
_ERRORS_FROM_ZERO = 2.0


@dataclass(frozen=True)
class Examination:
    """What every candidate is examined on: the metric, the items or episodes, and what the source said of them."""

    metric: metrics.Metric
    deciding: Deciding
    reference: metrics.Reference = field(default_factory=metrics.Reference)

    @property
    def items(self) -> int:
        """The number of items, or of episodes."""
        return self.deciding.items

    @property
    def slices(self) -> Array | None:
        """The slice that each item belongs to, [items] of integers or strings; None where none are named."""
        return self.deciding.slices if isinstance(self.deciding, dataset.Labelled) else None

    @property
    def divisible(self) -> bool:
        """Whether some items can be scored without the others."""
        return isinstance(self.deciding, dataset.Labelled) and not self.metric.whole and self.metric.kind != "own"

    def part(self, indices: Array) -> "Examination":
        """Return the examination on the items at `indices`.

        Raises:
            ValueError: it is not divisible.
        """
        if not isinstance(self.deciding, dataset.Labelled) or not self.divisible:
            raise ValueError(f"{self.metric.name} is not decided item by item")
        answers = self.reference.answers
        reference = replace(self.reference, answers=None if answers is None else answers[indices])
        return replace(self, deciding=self.deciding.part(indices), reference=reference)

    @property
    def deciding_items(self) -> int:
        """How many items the rule of three may count on; fewer than `items` for auc and f1 of uneven classes."""
        return _deciding_items(self.metric, self.deciding)


def require_enough(
    metric: metrics.Metric, deciding: Deciding, max_drop: float, confidence: float, shared: bool
) -> None:
    """Accept items that can decide whether the loss is at most `max_drop`.

    Raises:
        ValidationError: even a candidate that changes nothing could not be shown to be good enough.
    """
    needed, found = bounds.fewest_items(max_drop, confidence), _deciding_items(metric, deciding)
    if found >= needed:
        return
    asked = f"showing a loss of at most {max_drop:.2%} at {confidence:.0%} confidence"
    if isinstance(deciding, episodes.Episodes):
        raise ValidationError(
            f"validation.environment.episodes: {found} episodes decide the gate; {asked} takes at least {needed}: "
            "raise episodes or maxDrop"
        )
    total = math.ceil(needed * deciding.items / found)
    if shared:
        total = -(-total * dataset.SET_ASIDE // (dataset.SET_ASIDE - 1))
    aside = " (a quarter is set aside when no unlabelled set is given)" if shared else ""
    weight = f", worth {found} for {metric.name} as its classes are uneven" if found < deciding.items else ""
    raise ValidationError(
        f"validation set: {deciding.items} items decide the gate{aside}{weight}; {asked} takes at least {total}: add "
        "items or raise maxDrop"
    )


def require_slices(labelled: dataset.Labelled, asked: Validation | None) -> None:
    """Accept slices that can each decide whether the loss on them is at most what is asked, if anything is.

    Raises:
        ValidationError: no slices are named, or one has too few items.
    """
    if asked is None or asked.max_slice_drop is None:
        return
    if labelled.slices is None:
        raise ValidationError(
            "validation set: array 'slices' is missing, and maxSliceDrop asks for a limit on each; add it or leave "
            "maxSliceDrop out"
        )
    names, counts = np.unique(labelled.slices, return_counts=True)
    needed, least = bounds.fewest_items(asked.max_slice_drop, asked.confidence), int(counts.argmin())
    if counts[least] < needed:
        raise ValidationError(
            f"validation set: {counts[least]} items of slice {names[least].item()!r} decide the gate; showing a loss "
            f"of at most {asked.max_slice_drop:.2%} on it at {asked.confidence:.0%} confidence takes at least {needed}"
            ": add items, merge slices, or raise maxSliceDrop"
        )


def prepare(metric: metrics.Metric, deciding: Deciding, source: Session) -> Examination:
    """Return the examination; what the metric needs to know of the source model is asked here, once.

    Raises:
        ValidationError: the metric cannot be used with these items.
    """
    if isinstance(deciding, episodes.Episodes):
        return Examination(metric, deciding)
    if metric.kind == "own":
        _try_own(metric, deciding, source)
    if metric.kind == "neighbors" and not 2 <= deciding.items <= _MOST_NEIGHBORS:
        raise ValidationError(
            f"validation set: {metric.name} compares every item with every other; {deciding.items} items are not "
            f"between 2 and {_MOST_NEIGHBORS}"
        )
    return Examination(metric, deciding, _reference(metric, deciding, source))


def scores(session: Session, examination: Examination) -> Scores:
    """Return the scores of the session's model, one an item or episode; NaN where it gave NaN.

    Raises:
        ValidationError: the model's outputs do not have the shape the metric needs, or the user's metric fails.
    """
    metric, deciding, reference = examination.metric, examination.deciding, examination.reference
    if isinstance(deciding, episodes.Episodes):
        return episodes.play(as_policy(session), deciding)
    if metric.kind == "own":
        return np.concatenate(
            [own.score(metric, outputs, part.labels, part.inputs) for part, outputs in _all_outputs(session, deciding)]
        )
    labels = deciding.labels if deciding.labels is not None and metric.needs_labels else np.empty(0)
    parts = []
    for part, output in run_in_batches(session, deciding.inputs, _BATCH):
        ignore = deciding.ignore[part] if deciding.ignore is not None else None
        _check_shapes(metric, output, labels[part], reference)
        parts.append(metrics.compact(metric, output, labels[part], ignore, _answers_to(reference, part)))
    return metrics.finish(metric, np.concatenate(parts), labels, reference)


def require_baseline(metric: metrics.Metric, scores: Scores) -> None:
    """Accept the source model's scores as what a loss is measured against.

    Raises:
        ValidationError: a share of their mean has no meaning: it is not a number, is 0, or cannot be told from 0.
    """
    subject = "validation.environment" if metric.kind == "return" else "validation set"
    if (wrong := np.flatnonzero(~np.isfinite(scores))).size:
        raise ValidationError(
            f"{subject}: the source model's {metric.name} is no number for {len(wrong)} of {len(scores)} "
            f"{'episodes' if metric.kind == 'return' else 'items'} (first: {wrong[0]}): it gives NaN or infinity "
            "there; remove such items or mend the model"
        )
    mean = float(scores.mean())
    if metric.signed:
        error = float(scores.std(ddof=1)) / math.sqrt(len(scores))
        if abs(mean) <= _ERRORS_FROM_ZERO * error or mean == 0:
            raise ValidationError(
                f"{subject}: the source model's mean {metric.name} is {mean:.4g} with a standard error of {error:.2g}, "
                "too close to 0 for a loss relative to it; add episodes or items, or shift the scale away from 0"
            )
    elif mean <= 0 and not metric.higher_is_better:
        raise ValidationError(
            f"{subject}: the source model's {metric.name} is 0, so every other model's is infinitely worse; the labels "
            "seem to be its own outputs: use labels from outside, or the metric agreement"
        )
    elif mean <= 0:
        raise ValidationError(
            f"{subject}: the source model's {metric.name} on it is {mean:.4g}, so no loss can be told; check that "
            "labels and inputs belong together"
        )


def as_policy(session: Session) -> Policy:
    """Return the session's model as an agent, which acts by its first output."""
    first = session.get_outputs()[0].name
    return lambda rows: np.asarray(session.run([first], dict(rows))[0])


def _deciding_items(metric: metrics.Metric, deciding: Deciding) -> int:
    labels = deciding.labels if isinstance(deciding, dataset.Labelled) else None
    return metrics.deciding_items(metric, labels, deciding.items)


def _reference(metric: metrics.Metric, labelled: dataset.Labelled, source: Session) -> metrics.Reference:
    shape = sessions.output_specs(source)[0].shape
    one_score = metric.decides_one_score and (len(shape) == 1 or shape[1:] in ((1,), (-1,)))
    threshold = _threshold(source, labelled) if one_score else metrics.Reference.threshold
    if metric.kind not in ("agreement", "agreement@", "f1", "neighbors"):
        return metrics.Reference(None, threshold)
    parts = []
    for _, output in run_in_batches(source, labelled.inputs, _BATCH):
        _check_shapes(metric, output, np.empty(0), metrics.Reference())
        parts.append(metrics.answers(metric, output, threshold))
    return metrics.Reference(np.concatenate(parts), threshold)


def _threshold(source: Session, labelled: dataset.Labelled) -> float:
    """Return 0.5 where all of the source's scores are probabilities, and 0 where they are not: logits."""
    outputs = [output for _, output in run_in_batches(source, labelled.inputs, _BATCH)]
    return 0.5 if all(((output >= 0) & (output <= 1)).all() for output in outputs) else 0.0


def _answers_to(reference: metrics.Reference, part: slice) -> metrics.Reference:
    answers = reference.answers
    return metrics.Reference(None if answers is None else answers[part], reference.threshold)


def _all_outputs(session: Session, labelled: dataset.Labelled) -> Iterator[tuple[dataset.Labelled, dict[str, Array]]]:
    names = [output.name for output in session.get_outputs()]
    for start in range(0, labelled.items, _BATCH):
        part = labelled.part(slice(start, start + _BATCH))
        yield part, dict(zip(names, sessions.run(session, part.inputs), strict=True))


def _try_own(metric: metrics.Metric, labelled: dataset.Labelled, source: Session) -> None:
    part, outputs = next(_all_outputs(source, labelled))
    own.check_apart(metric, outputs, part.labels, part.inputs)


def _check_shapes(metric: metrics.Metric, output: Array, labels: Array, reference: metrics.Reference) -> None:
    if metric.task == "regression":
        if output.shape != labels.shape:
            raise ValidationError(
                f"validation set: 'labels' has items of shape {list(labels.shape[1:])}, the model's first output "
                f"{list(output.shape[1:])}; {metric.name} compares them one by one"
            )
        return
    if output.ndim != 2 and not (metric.decides_one_score and output.ndim == 1):
        raise ValidationError(f"validation.metric: {metric.name} needs an output [items, n], found {output.ndim} axes")
    width = output.shape[1] if output.ndim == 2 else 1
    if metric.kind == "auc" and width > 2:
        raise ValidationError(f"validation.metric: auc needs one score or two classes, found {width}: use f1")
    if labels.size and labels.max() >= (2 if metric.decides_one_score and width == 1 else width):
        raise ValidationError(
            f"validation set: 'labels' holds index {labels.max()}; the output has {width} values an item"
        )
    answers = reference.answers
    if metric.kind == "agreement@" and answers is not None and answers.max(initial=0) >= width:
        raise ValidationError(f"validation.metric: {metric.name}: the candidate has {width} outputs, the source more")
