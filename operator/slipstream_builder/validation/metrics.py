"""Per-item scores of a model's first output against the labels; pure.

Ranking takes an output [items, n] of scores for n things, labels [items, m] of the indices that are relevant (padded
with -1), and optionally `ignore` [items, k] of indices that do not compete (padded with -1). Classification takes an
output [items, classes] and labels [items]; regression labels of the output's own shape.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from slipstream_builder.arrays import Array, Scores
from slipstream_builder.errors import ValidationError

Kind = Literal["ndcg", "hit-rate", "accuracy", "agreement", "mae", "mse"]
Task = Literal["ranking", "classification", "regression"]

NAMES = "accuracy, agreement, mae, mse, ndcg@K, hit-rate@K"
_TASKS: dict[str, Task] = {"ndcg": "ranking", "hit-rate": "ranking", "mae": "regression", "mse": "regression"}


@dataclass(frozen=True)
class Metric:
    """A metric by kind; `k` is the cut-off of the ranking kinds, 0 otherwise."""

    name: str
    kind: Kind
    k: int = 0

    @property
    def task(self) -> Task:
        """What the model does, as the techniques need to know it."""
        return _TASKS.get(self.kind, "classification")

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better model."""
        return self.task != "regression"

    @property
    def binary(self) -> bool:
        """Whether every item's score is 0 or 1."""
        return self.kind in ("accuracy", "agreement", "hit-rate")


def parse(name: str) -> Metric:
    """Return the metric called `name`.

    Raises:
        ValidationError: there is none of that name.
    """
    if name in ("accuracy", "agreement", "mae", "mse"):
        return Metric(name, name)  # type: ignore[arg-type]
    if match := re.fullmatch(r"(ndcg|hit-rate)@([1-9]\d{0,4})", name):
        return Metric(name, match[1], int(match[2]))  # type: ignore[arg-type]
    raise ValidationError(f"validation.metric: {name!r} is not a metric; use one of {NAMES}")


def score(metric: Metric, output: Array, labels: Array, ignore: Array | None = None) -> Scores:
    """Return one score an item for `output`, whose first axis counts the items; NaN where the output is NaN.

    For "agreement", `labels` are the top-1 answers of the source model.
    """
    if metric.task == "regression":
        difference = output.astype(np.float64) - labels
        loss = np.abs(difference) if metric.kind == "mae" else difference**2
        return np.asarray(loss.reshape(len(loss), -1).mean(axis=1), dtype=np.float64)
    if metric.task == "classification":
        return _void(output, (output.argmax(axis=1) == labels).astype(np.float64))
    return _void(output, _rank(metric, output, labels, ignore))


def _rank(metric: Metric, output: Array, labels: Array, ignore: Array | None) -> Scores:
    """NDCG with binary relevance (Jaervelin and Kekaelaeinen 2002): DCG over that of the best possible ranking."""
    relevant = _marks(labels, output.shape[1])
    top = _top(_without(output, ignore), metric.k)
    gains = np.take_along_axis(relevant, top, axis=1)
    if metric.kind == "hit-rate":
        return np.asarray(gains.any(axis=1), dtype=np.float64)
    discounts = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant.sum(axis=1), top.shape[1]) - 1]
    return np.asarray((gains * discounts).sum(axis=1) / ideal, dtype=np.float64)


def _top(output: Array, k: int) -> Array:
    """Return the indices of the `k` largest of each row, best first."""
    k = min(k, output.shape[1])
    part = np.argpartition(-output, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(output, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def _marks(indices: Array, width: int) -> Array:
    marks = np.zeros((len(indices), width + 1), dtype=bool)
    np.put_along_axis(marks, np.where(indices < 0, width, indices), True, axis=1)
    return marks[:, :width]


def _without(output: Array, ignore: Array | None) -> Array:
    return output if ignore is None else np.where(_marks(ignore, output.shape[1]), -np.inf, output)


def _void(output: Array, scores: Scores) -> Scores:
    """Give no score to an item whose output holds NaN: it would otherwise rank somewhere by accident."""
    return np.asarray(np.where(np.isnan(output).any(axis=1), np.nan, scores), dtype=np.float64)
