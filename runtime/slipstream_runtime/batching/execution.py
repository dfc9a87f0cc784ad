"""Runs one batch and gives every request its own rows back, whatever happens to its batchmates. Pure but for `run`."""

from collections.abc import Callable, Sequence

import numpy as np

from slipstream_runtime.errors import ModelFailedError
from slipstream_runtime.protocol.signature import Tensors

Run = Callable[[Tensors], Tensors]
Outcome = Tensors | Exception
"""What one request gets: its outputs, or the error that it alone caused."""


def run_batch(run: Run, requests: Sequence[Tensors], rows: Sequence[int], *, batched: bool) -> list[Outcome]:
    """Return the outcome of each request, in order.

    When a batch fails it is halved until only the requests that fail by themselves are left with the error.
    """
    try:
        if len(requests) == 1:
            return [_checked(run(requests[0]), rows[0] if batched else None)]
        return _split(_checked(run(_joined(requests)), sum(rows)), rows)
    except Exception as error:  # noqa: BLE001  # any failure of the session belongs to the requests in it
        if len(requests) == 1:
            return [error]
    half = len(requests) // 2
    first = run_batch(run, requests[:half], rows[:half], batched=batched)
    return first + run_batch(run, requests[half:], rows[half:], batched=batched)


def _joined(requests: Sequence[Tensors]) -> Tensors:
    return tuple(np.concatenate(parts) for parts in zip(*requests, strict=True))


def _checked(outputs: Tensors, rows: int | None) -> Tensors:
    """Refuse an answer that has not one row for each row asked, or holds a number that is not finite."""
    for output in outputs:
        if rows is not None and output.shape[:1] != (rows,):
            raise ModelFailedError("the model answered with another number of rows than it was asked")
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            raise ModelFailedError("the model's answer is not a finite number")
    return outputs


def _split(outputs: Tensors, rows: Sequence[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    start = 0
    for count in rows:
        outcomes.append(tuple(output[start : start + count] for output in outputs))
        start += count
    return outcomes
