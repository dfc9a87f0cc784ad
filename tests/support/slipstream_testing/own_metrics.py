"""Metrics of a user's own, sound and faulty, named as `slipstream_testing.own_metrics:NAME`."""

from typing import Any

import numpy as np


def confidence(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return the softmax probability of the label."""
    odds = np.exp(outputs["logits"] - outputs["logits"].max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]


def distance(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return how far the largest output lies from the first input; it needs no labels."""
    return abs(outputs["logits"].max(axis=1) - items["x"][:, 0])


distance.higher_is_better = False  # type: ignore[attr-defined]
distance.task = "classification"  # type: ignore[attr-defined]


def raising(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Ask for an output that is not there."""
    return outputs["nothing\nof the kind"]


def one_number(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return the mean, where one number an item is asked for."""
    return outputs["logits"].mean()


def words(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return text."""
    return np.array(["good"] * len(labels))


def not_a_number(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return NaN for the third item."""
    return np.where(np.arange(len(labels)) == 2, np.nan, 1.0)


def compared(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return each item's output as a share of the batch's largest."""
    return outputs["logits"].max(axis=1) / outputs["logits"].max()


def writing(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Write to its inputs."""
    items["x"][:] = 0.0
    return np.ones(len(labels))


def of_a_strange_task(outputs: dict[str, Any], labels: Any, items: dict[str, Any]) -> Any:
    """Return ones."""
    return np.ones(len(labels))


of_a_strange_task.task = "magic"  # type: ignore[attr-defined]

NUMBER = 3
