"""More inputs out of few: variations of the unlabelled rows on which the teacher can be asked for its opinion.

A student that sees only a few hundred rows learns them by heart. The teacher answers any input, so rows are varied in
ways that need no knowledge of the domain: sparse rows (histories, bags of words) lose entries at random, dense rows
are mixed with one another. Integer inputs (token ids) stay as they are. Rows stay aligned across inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slipstream_builder.arrays import Array, Rows, count

UNCHANGED = 0.25
MOST_DROPPED = 0.5
MOST_MIXED = 0.3


@dataclass(frozen=True)
class Batch:
    """Varied rows, the positions [batch] of the rows they came from, and which [batch] are still as they were."""

    rows: dict[str, Array]
    positions: Array
    unchanged: Array


def batches(rows: Rows, size: int, generator: np.random.Generator) -> Iterator[Batch]:
    """Yield varied batches of `size` rows without end; a quarter of the rows of each batch is left as it is.

    Every row comes once before any comes again.
    """
    sparse = {name: is_sparse(array) for name, array in rows.items()}
    varies = any(np.issubdtype(array.dtype, np.floating) for array in rows.values())
    order = np.empty(0, dtype=np.int64)
    while True:
        while len(order) < size:
            order = np.concatenate([order, generator.permutation(count(rows))])
        chosen, order = order[:size], order[size:]
        partners = generator.integers(0, count(rows), size)
        changed = generator.random(size) >= UNCHANGED
        strength = np.where(changed, generator.random(size), 0.0).astype(np.float32)
        varied = {
            name: _varied(array, chosen, partners, strength, sparse[name], generator) for name, array in rows.items()
        }
        yield Batch(varied, chosen, ~changed if varies else np.ones(size, dtype=bool))


def is_sparse(array: Array) -> bool:
    """Say whether most entries of a float array are exactly 0."""
    return bool(np.issubdtype(array.dtype, np.floating) and np.count_nonzero(array) < array.size / 2)


def dropped(rows: Array, rates: Array, generator: np.random.Generator) -> Array:
    """Return `rows` [items, ...] with entries set to 0 at each row's rate (0 to 1)."""
    keep: Array = generator.random(rows.shape, dtype=np.float32) >= _column(rates, rows.ndim)
    left: Array = rows * keep.astype(rows.dtype)
    return left


def mixed(rows: Array, partners: Array, shares: Array) -> Array:
    """Return `rows` with `shares` (0 to 1, one a row) of `partners` mixed in."""
    weight = _column(shares, rows.ndim).astype(rows.dtype)
    blend: Array = rows * (1 - weight) + partners * weight
    return blend


def _varied(
    array: Array, chosen: Array, partners: Array, strength: Array, sparse: bool, generator: np.random.Generator
) -> Array:
    rows: Array = array[chosen]
    if not np.issubdtype(array.dtype, np.floating):
        return rows
    if sparse:
        return dropped(rows, strength * MOST_DROPPED, generator)
    return mixed(rows, array[partners], strength * MOST_MIXED)


def _column(values: Array, rank: int) -> Array:
    return values.reshape(-1, *(1,) * (rank - 1))
