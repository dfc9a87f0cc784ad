"""Names for the arrays that flow through the builder."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = Mapping[str, Array]
"""Model inputs by name; the first axis of every array counts the items."""

Policy = Callable[[Rows], Array]
"""A model as an agent: from a batch of states to its first output, [items, ...]."""

Scores = npt.NDArray[np.float64]
"""One score an item."""


def take(rows: Rows, indices: Array | slice) -> dict[str, Array]:
    """Return the items at `indices` of every input."""
    return {name: array[indices] for name, array in rows.items()}


def count(rows: Rows) -> int:
    """Return the number of items."""
    return len(next(iter(rows.values())))
