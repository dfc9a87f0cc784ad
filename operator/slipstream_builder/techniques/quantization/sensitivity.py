"""Finds the layers whose quantisation costs the most, by measured loss: quantise them alone, compare the outputs."""

from collections.abc import Callable

import numpy as np
import onnx

from slipstream_builder.arrays import Array, Rows
from slipstream_builder.sessions import open_session, run

MOST_TRIALS = 24

Error = Callable[[onnx.ModelProto], float]
Cost = Callable[[list[str]], float]


def output_error(original: onnx.ModelProto, rows: Rows, threads: int) -> Error:
    """Return a function from a variant to its outputs' squared error on `rows`, relative to the original's outputs."""
    wanted = run(open_session(original.SerializeToString(), threads), rows)

    def error(variant: onnx.ModelProto) -> float:
        given = run(open_session(variant.SerializeToString(), threads), rows)
        return sum(_relative(mine, theirs) for mine, theirs in zip(given, wanted, strict=True))

    return error


def worst(layers: list[str], number: int, cost: Cost, report: Callable[[float], None]) -> set[str]:
    """Return the `number` layers of `layers` whose quantisation alone costs the most.

    Of more than 24 layers, runs of neighbours are tried together first, and only the members of the worst runs alone:
    at most 24 trials then, and as many again as those runs have members.
    """
    if len(layers) > MOST_TRIALS:
        runs = [list(part) for part in np.array_split(layers, MOST_TRIALS)]
        costs = _costs(runs, cost, lambda part: report(part / 2))
        layers = [name for members in _highest(runs, costs, number) for name in members]
    alone = [[name] for name in layers]
    return {name for (name,) in _highest(alone, _costs(alone, cost, report), number)}


def _costs(trials: list[list[str]], cost: Cost, report: Callable[[float], None]) -> list[float]:
    costs = []
    for done, names in enumerate(trials, start=1):
        costs.append(cost(names))
        report(done / len(trials))
    return costs


def _highest(trials: list[list[str]], costs: list[float], number: int) -> list[list[str]]:
    """Return the costliest trials; of equal ones the earlier, so that the choice is always the same."""
    return [trials[index] for index in sorted(range(len(trials)), key=lambda index: -costs[index])[:number]]


def _relative(given: Array, wanted: Array) -> float:
    """Return the squared error relative to the squared size; infinity where the outputs are not finite."""
    difference = given.astype(np.float64) - wanted.astype(np.float64)
    error = float(np.sum(difference**2) / max(float(np.sum(wanted.astype(np.float64) ** 2)), 1e-30))
    return error if np.isfinite(error) else float("inf")
