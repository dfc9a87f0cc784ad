"""Runs one batch and gives every request its own rows back, whatever happens to its batchmates. Pure but for `run`."""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from slipstream_runtime.errors import ModelFailedError, StuckError
from slipstream_runtime.protocol.signature import Array, Tensors

Run = Callable[[Tensors], Tensors]
Outcome = Tensors | Exception
"""What one request gets: its outputs, or the error that it alone caused."""

CULPRITS = 4
"""Parts of a failed batch that are halved further; where more than this fail, their requests run one by one."""


class RowCountError(ModelFailedError):
    """The model answered with another number of rows than it was asked, so that no row can be told to be whose."""


def run_batch(run: Run, requests: Sequence[Tensors], rows: Sequence[int], *, batched: bool) -> list[Outcome]:
    """Return the outcome of each request, in order.

    Requests that fail together are parted until only those that fail by themselves are left with the error. With n
    requests and up to CULPRITS culprits that takes 2 log2(n) runs for each; with any number of them at most 5 n
    requests are computed in all, as halving stops when more than CULPRITS parts of a round have failed. A batch whose
    rows cannot be told apart is dropped whole, and so is one that was stopped: each part would take as long again.
    """
    outcomes = _attempt(run, requests, rows, batched=batched)
    failed = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    if not failed or len(requests) == 1 or isinstance(outcomes[0], RowCountError | StuckError):
        return outcomes
    parts = [failed] if len(failed) < len(requests) else _halves(failed)
    while parts:
        again: list[list[int]] = []
        for part in parts:
            found = _attempt(run, [requests[i] for i in part], [rows[i] for i in part], batched=batched)
            for i, outcome in zip(part, found, strict=True):
                outcomes[i] = outcome
            left = [i for i in part if isinstance(outcomes[i], Exception)]
            if len(part) > 1 and left:
                again.append(left)
        parts = [[i] for i in chain(*again)] if len(again) > CULPRITS else list(chain(*map(_halves, again)))
    return outcomes


def _halves(part: list[int]) -> list[list[int]]:
    middle = len(part) // 2
    return [half for half in (part[:middle], part[middle:]) if half]


def _attempt(run: Run, requests: Sequence[Tensors], rows: Sequence[int], *, batched: bool) -> list[Outcome]:
    """Run `requests` together once: the error of the run is the outcome of all, that of a row only its own."""
    try:
        if not batched:
            outputs = run(requests[0])
            return [outputs if all(map(_finite, outputs)) else _not_finite()]
        outputs = run(_joined(requests))
        total = sum(rows)
        if any(output.shape[:1] != (total,) for output in outputs):
            raise RowCountError("the model answered with another number of rows than it was asked")
    except Exception as error:  # noqa: BLE001  # any failure of the session belongs to the requests in it
        return [error] * len(requests)
    split = _split(outputs, rows)
    if all(map(_finite, outputs)):
        return split
    return [part if isinstance(part, Exception) or all(map(_finite, part)) else _not_finite() for part in split]


def _joined(requests: Sequence[Tensors]) -> Tensors:
    """Copy the rows behind each other, so that nothing that later happens to a request can reach the session."""
    if len(requests) == 1:
        return requests[0]
    if len(requests[0]) == 1:  # half the time of the general way
        return (np.concatenate([tensors[0] for tensors in requests]),)
    return tuple(map(np.concatenate, zip(*requests, strict=True)))


def _finite(output: Array) -> bool:
    # A zero byte among the booleans is found in a third of the time that .all() takes on a small array.
    return output.dtype.kind != "f" or b"\0" not in np.isfinite(output).tobytes()


def _not_finite() -> ModelFailedError:
    return ModelFailedError("the model's answer is not a finite number")


def _split(outputs: Tensors, rows: Sequence[int]) -> list[Outcome]:
    """Return views of each request's own rows."""
    if len(rows) == 1:
        return [outputs]
    if max(rows) == 1:  # iterating over an array takes a third of the time of slicing it
        return list(zip(*[output[:, np.newaxis] for output in outputs], strict=True))
    parts: list[Outcome] = []
    start = 0
    for count in rows:
        end = start + count
        parts.append(tuple([output[start:end] for output in outputs]))
        start = end
    return parts
