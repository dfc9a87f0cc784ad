"""Runs a model on a row among hostile batchmates."""

import numpy as np

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.gate.verdicts import Verdict, judge_isolation
from slipstream_builder.sessions import Session, run

_MATES = 7


def examine(session: Session, rows: Rows) -> Verdict:
    """Judge whether hostile batchmates move a row's result; `rows` are ordinary items, at least one."""
    victim, mates = _spread(rows, 0, 1), _spread(rows, 1, _MATES)
    quiet = _first_and_last(session, victim, mates)
    hostile = {
        words: _first_and_last(session, victim, hostile_mates) for words, hostile_mates in _hostile(mates, rows).items()
    }
    return judge_isolation(quiet, hostile)


def _spread(rows: Rows, start: int, items: int) -> dict[str, Array]:
    return take(rows, (np.arange(items) + start) % count(rows))


def _first_and_last(session: Session, victim: Rows, mates: Rows) -> tuple[Array, ...]:
    """Return the victim's outputs at the first and at the last place of its batch."""
    ahead = {name: np.concatenate([victim[name], mates[name]]) for name in victim}
    behind = {name: np.concatenate([mates[name], victim[name]]) for name in victim}
    return (*(output[0] for output in run(session, ahead)), *(output[-1] for output in run(session, behind)))


def _hostile(mates: Rows, rows: Rows) -> dict[str, dict[str, Array]]:
    """Return batchmates that a hostile caller could send; integers stay within the values seen, as they may index."""
    kinds: dict[str, dict[str, Array]] = {"extreme values of the data": {}}
    floating = any(array.dtype.kind == "f" for array in mates.values())
    if floating:
        kinds |= {"values 1000 times larger": {}, "NaN": {}, "infinity": {}}
    for name, array in mates.items():
        extreme = np.full_like(array, rows[name].max()) if array.dtype.kind != "b" else ~array
        for kind in kinds.values():
            kind[name] = extreme
        if array.dtype.kind == "f":
            kinds["values 1000 times larger"][name] = (array + np.sign(array)) * array.dtype.type(1000)
            kinds["NaN"][name] = np.full_like(array, np.nan)
            kinds["infinity"][name] = np.full_like(array, np.inf)
    return kinds
