"""Shows whether a row's result depends on who shares its batch: runs a model on rows among hostile batchmates.

Batches of one size are compared first, since kernels of one shape round alike: there an honest model keeps its results
bit for bit, and the smallest dependence shows. The reference is the row among copies of itself, which is the row alone
as far as any statistic over the batch can tell. So quantisation by the batch's range is found even where the first
operation hides large values by normalising them. Only then is the row alone compared with the row in a batch; other
shapes may round otherwise, and a rounding upstream may tip a quantised value over by a step, so more is allowed.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.gate.verdicts import Verdict
from slipstream_builder.sessions import Session, run

ISOLATION_TOLERANCE = 1e-5
"""How far, as a share of its largest value, a row's output may move when its batchmates or its place change."""

BATCH_SIZE_TOLERANCE = 0.05
"""The same where the number of its batchmates changes: several steps of an 8-bit value, far less than a lost result."""

_BATCHES = {8: 4, 32: 1}
"""The sizes of batches, and how many rows are watched in each."""

_ATTACKED = 8


@dataclass(frozen=True)
class Comparison:
    """A row's outputs before and after something around it changed, and what that was in words."""

    change: str
    before: tuple[Array, ...]
    after: tuple[Array, ...]
    tolerance: float = ISOLATION_TOLERANCE


class NotByRowError(Exception):
    """An output does not have one entry a row; the message says which."""


def examine(session: Session, rows: Rows) -> Verdict:
    """Judge whether batchmates move a row's result; `rows` are ordinary items, at least one."""
    try:
        return judge_isolation(_comparisons(session, rows))
    except NotByRowError as error:
        return Verdict("isolation", False, str(error))


def judge_isolation(comparisons: Iterable[Comparison]) -> Verdict:
    """Judge whether a row's outputs stayed put in all comparisons; the first that fails ends it."""
    worst = {ISOLATION_TOLERANCE: 0.0, BATCH_SIZE_TOLERANCE: 0.0}
    compared = None
    for compared in comparisons:
        if not all(np.isfinite(output).all() for output in compared.before):
            return Verdict("isolation", False, "a row among copies of itself gave NaN or infinity")
        moved = max(_moved(before, after) for before, after in zip(compared.before, compared.after, strict=True))
        if not moved <= compared.tolerance:
            extent = "to NaN or infinity" if math.isinf(moved) else f"by {moved:.2g} of its size"
            return Verdict("isolation", False, f"{compared.change} moved another row's result {extent}")
        worst[compared.tolerance] = max(worst[compared.tolerance], moved)
    if compared is None:
        return Verdict("isolation", False, "nothing was compared")
    among, across = worst[ISOLATION_TOLERANCE], worst[BATCH_SIZE_TOLERANCE]
    kept = "bit for bit" if among == 0 else f"within {among:.1e}"
    alone = "" if across == 0 else f", and within {across:.1e} whatever its size"
    return Verdict("isolation", True, f"rows keep their results {kept}, whatever shares their batch{alone}")


def hostile(mates: Rows, rows: Rows) -> dict[str, dict[str, Array]]:
    """Return batchmates that a hostile caller could send, by their description, in place of `mates`.

    Integers stay within the values that `rows` holds, as they may index; marks of 0 and 1 may all be 0.
    """
    kinds = {
        words: {name: np.full_like(a, end(rows[name])) for name, a in mates.items()} for words, end in _ENDS.items()
    }
    if any(array.dtype.kind == "f" for array in mates.values()):
        with np.errstate(over="ignore"):  # what overflows is infinite, and hostile too
            for words, change in _FLOATS.items():
                kinds[words] = {name: change(a) if a.dtype.kind == "f" else a for name, a in mates.items()}
    return kinds


def _comparisons(session: Session, rows: Rows) -> Iterator[Comparison]:
    """Yield all comparisons, those with ordinary batchmates first: they cost least and show most."""
    for size, watched in _BATCHES.items():
        for index in range(watched):
            row, mates = _spread(rows, index, 1), _spread(rows, index + 1, size - 1)
            copies = _run(session, _spread(rows, index, 1, times=size))
            among = _run(session, _joined(row, mates))
            yield Comparison(f"its place in a batch of {size}", _at(copies, 0), _at(copies, -1))
            yield Comparison(f"{size - 1} ordinary batchmates", _at(copies, 0), _at(among, 0))
            alone = _at(_run(session, row), 0)
            yield Comparison(f"a batch of {size}", alone, _at(copies, 0), BATCH_SIZE_TOLERANCE)
    yield from _attacks(session, rows)


def _attacks(session: Session, rows: Rows) -> Iterator[Comparison]:
    """Yield comparisons with hostile batchmates, behind one row and ahead of another."""
    mates = _spread(rows, 2, _ATTACKED - 1)
    first, last = _spread(rows, 0, 1), _spread(rows, 1, 1)
    copies = [_at(_run(session, _spread(rows, index, 1, times=_ATTACKED)), 0) for index in (0, 1)]
    for words, attackers in hostile(mates, rows).items():
        yield Comparison(f"batchmates with {words}", copies[0], _at(_run(session, _joined(first, attackers)), 0))
        yield Comparison(f"batchmates with {words}", copies[1], _at(_run(session, _joined(attackers, last)), -1))


def _spread(rows: Rows, start: int, items: int, times: int = 1) -> dict[str, Array]:
    """Return `items` rows from `start` on, round the end if need be, each `times` over."""
    return take(rows, np.repeat((np.arange(items) + start) % count(rows), times))


def _joined(ahead: Rows, behind: Rows) -> dict[str, Array]:
    return {name: np.concatenate([ahead[name], behind[name]]) for name in ahead}


def _run(session: Session, batch: Rows) -> list[Array]:
    outputs = run(session, batch)
    for position, output in enumerate(outputs):
        if output.ndim == 0 or len(output) != count(batch):
            raise NotByRowError(
                f"output {position} has shape {list(output.shape)} for a batch of {count(batch)}: not one entry a row"
            )
    return outputs


def _at(outputs: list[Array], place: int) -> tuple[Array, ...]:
    return tuple(output[place] for output in outputs)


def _moved(before: Array, after: Array) -> float:
    """Return how far the output moved, as a share of its largest value; infinity where it is no number any more."""
    if np.array_equal(before, after):
        return 0.0
    if before.shape != after.shape or not np.isfinite(after).all():
        return math.inf
    wide_before, wide_after = before.astype(np.float64), after.astype(np.float64)
    scale = max(float(np.abs(wide_before).max()), 1e-12)
    return float(np.abs(wide_after - wide_before).max()) / scale


def _largest(array: Array) -> Array:
    return np.asarray(True) if array.dtype.kind == "b" else np.asarray(array.max())


def _smallest(array: Array) -> Array:
    """Return the smallest value, and 0 for marks that may all be 1."""
    marks = array.min() >= 0 and array.max() <= 1
    return np.zeros((), array.dtype) if marks else np.asarray(array.min())


def _filled(value: Callable[[Any], Any]) -> Callable[[Array], Array]:
    return lambda array: np.full_like(array, value(np.finfo(array.dtype)))


_ENDS: dict[str, Callable[[Array], Array]] = {
    "the largest values of the data": _largest,
    "the smallest values of the data": _smallest,
}
_FLOATS: dict[str, Callable[[Array], Array]] = {
    "values 1000 times larger": lambda array: ((array + np.where(array < 0, -1, 1)) * 1000).astype(array.dtype),
    "values of 1e30": _filled(lambda limits: min(1e30, limits.max)),
    "the largest numbers there are": _filled(lambda limits: limits.max),
    "NaN": _filled(lambda limits: np.nan),
    "infinity": _filled(lambda limits: np.inf),
    "minus infinity": _filled(lambda limits: -np.inf),
    "denormal numbers": _filled(lambda limits: limits.smallest_subnormal),
    "zeros": np.zeros_like,
}
