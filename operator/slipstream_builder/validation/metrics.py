"""What a model is judged by: the metrics' names and traits, and per-item scores of its first output; pure.

`compact` reduces a batch's output to what the metric needs of it, and `finish` turns that of all items into one score
an item, whose mean is the metric. `score` is the two in one. Shapes: ranking takes an output [items, n] of scores for n
things, labels [items, m] of the indices that are relevant (padded with -1), and optionally `ignore` [items, k] of
indices that do not compete (padded with -1). Classification takes an output [items, classes], or one score an item, and
labels [items]; regression labels of the output's own shape; embeddings are [items, d].
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from slipstream_builder.arrays import Array, Scores
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import influence, ranking

Kind = Literal[
    "ndcg", "hit-rate", "accuracy", "accuracy@", "f1", "auc", "agreement", "agreement@", "neighbors", "mae", "mse",
    "return", "own",
]  # fmt: skip
Task = Literal["ranking", "classification", "regression", "embedding", "policy"]

NAMES = "accuracy, accuracy@K, f1, auc, agreement, agreement@K, neighbors@K, mae, mse, ndcg@K, hit-rate@K, return"
_TASKS: dict[str, Task] = {
    "ndcg": "ranking",
    "hit-rate": "ranking",
    "agreement@": "ranking",
    "neighbors": "embedding",
    "mae": "regression",
    "mse": "regression",
    "return": "policy",
}
_BINARY = ("accuracy", "accuracy@", "agreement", "hit-rate")
_WITHOUT_LABELS = ("agreement", "agreement@", "neighbors", "return", "own")
_CUT_OFF: dict[str, Kind] = {
    "accuracy": "accuracy@",
    "agreement": "agreement@",
    "neighbors": "neighbors",
    "ndcg": "ndcg",
    "hit-rate": "hit-rate",
}
_WHOLE = ("f1", "auc", "neighbors")


@dataclass(frozen=True)
class Metric:
    """A metric by kind; `k` is the cut-off of the kinds with one, 0 otherwise.

    `task` is what the model does, as the techniques need to know it; `higher_is_better` whether a larger value is a
    better model; `function` a user's own metric.
    """

    name: str
    kind: Kind
    k: int = 0
    task: Task = "classification"
    higher_is_better: bool = True
    function: Callable[..., Any] | None = field(default=None, compare=False)

    @property
    def binary(self) -> bool:
        """Whether every item's score is 0 or 1."""
        return self.kind in _BINARY

    @property
    def needs_labels(self) -> bool:
        """Whether it compares the output with labels of the metric's own meaning."""
        return self.kind not in _WITHOUT_LABELS

    @property
    def whole(self) -> bool:
        """Whether an item's score depends on the outputs for all the others."""
        return self.kind in _WHOLE

    @property
    def has_slices(self) -> bool:
        """Whether the mean of the scores in a slice is the metric there; those of f1 and auc are of all items."""
        return self.kind not in ("f1", "auc", "return")

    @property
    def decides_one_score(self) -> bool:
        """Whether an output of one score an item is read as a decision between 0 and 1."""
        return self.kind in ("accuracy", "f1", "agreement", "auc")

    @property
    def signed(self) -> bool:
        """Whether its mean may rightly be negative."""
        return self.kind in ("return", "own")


@dataclass(frozen=True)
class Reference:
    """What the metric needs to know of the source model.

    `answers`: its classes [items] (agreement, f1), the best K of its order [items, K] (agreement@K), or its embeddings
    [items, d] (neighbors@K). `threshold`: above which one score an item means class 1.
    """

    answers: Array | None = None
    threshold: float = 0.5


def parse(name: str) -> Metric:
    """Return the built-in metric called `name`.

    Raises:
        ValidationError: there is none of that name.
    """
    if name in ("accuracy", "agreement", "f1", "auc", "mae", "mse", "return"):
        kind: Kind = name  # type: ignore[assignment]
        return Metric(name, kind, 0, _TASKS.get(name, "classification"), name not in ("mae", "mse"))
    if (match := re.fullmatch(r"([a-z-]+)@([1-9]\d{0,3})", name)) and match[1] in _CUT_OFF:
        kind = _CUT_OFF[match[1]]
        return Metric(name, kind, int(match[2]), _TASKS.get(kind, "classification"))
    raise ValidationError(
        f"validation.metric: {name!r} is not a metric; use one of {NAMES}, or module:function for one of your own"
    )


def score(
    metric: Metric, output: Array, labels: Array, ignore: Array | None = None, reference: Reference | None = None
) -> Scores:
    """Return one score an item for `output`, whose first axis counts all the items; NaN where the output is NaN."""
    reference = reference or Reference()
    return finish(metric, compact(metric, output, labels, ignore, reference), labels, reference)


def compact(metric: Metric, output: Array, labels: Array, ignore: Array | None, reference: Reference) -> Array:
    """Return what the metric needs of the output for some items: their scores already, unless it judges the whole.

    `labels`, `ignore` and the reference's answers are those of the same items.
    """
    if metric.task == "regression":
        difference = output.astype(np.float64) - labels
        loss = np.abs(difference) if metric.kind == "mae" else difference**2
        return np.asarray(loss.reshape(len(loss), -1).mean(axis=1), dtype=np.float64)
    match metric.kind:
        case "accuracy":
            found: Array = decide(output, reference.threshold) == labels
        case "agreement":
            found = decide(output, reference.threshold) == _answers(reference)
        case "accuracy@":
            found = (ranking.top(output, metric.k) == labels[:, None]).any(axis=1)
        case "ndcg":
            found = ranking.ndcg(output, labels, ignore, metric.k)
        case "hit-rate":
            found = ranking.hits(output, labels, ignore, metric.k)
        case "agreement@":
            found = ranking.agreement(output, _answers(reference))
        case "f1":
            found = decide(output, reference.threshold)
        case "auc":
            found = _margin(output)
        case _:
            return output
    return _void(output, found)


def finish(metric: Metric, compacted: Array, labels: Array, reference: Reference) -> Scores:
    """Return one score an item, from what `compact` gave for all of them."""
    match metric.kind:
        case "f1":
            return influence.f1(compacted, labels, _answers(reference) if reference.answers is not None else compacted)
        case "auc":
            return influence.auc(compacted, labels)
        case "neighbors":
            return ranking.neighbors(compacted, _answers(reference), metric.k)
        case _:
            return np.asarray(compacted, dtype=np.float64)


def answers(metric: Metric, output: Array, threshold: float) -> Array:
    """Return what of the source's output for some items the reference keeps."""
    if metric.kind == "agreement@":
        return ranking.top(output, metric.k)
    return output if metric.kind == "neighbors" else decide(output, threshold)


def decide(output: Array, threshold: float) -> Array:
    """Return the class of each item: the largest output, or of one score an item, whether it exceeds `threshold`."""
    if output.ndim == 1 or output.shape[1] == 1:
        return np.asarray(output.reshape(-1) > threshold, dtype=np.int64)
    return np.asarray(output.argmax(axis=1), dtype=np.int64)


def deciding_items(metric: Metric, labels: Array | None, items: int) -> int:
    """Return how many items the rule of three may count on.

    An unseen share of all items could lie in one class. For auc and f1 of two classes it then weighs as much as if the
    set were no larger than its rarer class; for macro f1, than its rarest class times the number of classes.
    """
    if labels is None or metric.kind not in ("auc", "f1"):
        return items
    classes, counts = np.unique(labels, return_counts=True)
    if metric.kind == "f1" and classes.max() <= 1:
        return int(counts[classes == 1].sum())
    return min(items, int(counts.min()) * (1 if metric.kind == "auc" else len(classes)))


def _margin(output: Array) -> Array:
    """Return one score an item; of two columns, how far the second is above the first."""
    flat = output.reshape(len(output), -1).astype(np.float64)
    return flat[:, 0] if flat.shape[1] == 1 else flat[:, 1] - flat[:, 0]


def _answers(reference: Reference) -> Array:
    if reference.answers is None:
        raise ValueError("this metric compares with the source model's answers")
    return reference.answers


def _void(output: Array, scores: Array) -> Scores:
    """Give no score to an item whose output holds NaN: it would otherwise rank somewhere by accident."""
    void = np.isnan(output.reshape(len(output), -1)).any(axis=1)
    return np.asarray(np.where(void, np.nan, scores.astype(np.float64)), dtype=np.float64)
