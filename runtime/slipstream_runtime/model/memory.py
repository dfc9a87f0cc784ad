"""Keeps runs within a device's memory: smaller batches after the first failure, no more runs after the second."""

from collections.abc import Callable

import numpy as np

from slipstream_runtime.errors import ModelFailedError
from slipstream_runtime.protocol.signature import Tensors

SIGNS = ("failed to allocate memory", "out of memory", "bfcarena", "cudnn_status_alloc_failed", "bad allocation")
"""What ONNX Runtime's messages hold, in lower case, when an allocation failed; it has no error type for that."""


def out_of_memory(error: Exception) -> bool:
    """Return whether ONNX Runtime's `error` says that an allocation failed."""
    text = str(error).lower()
    return any(sign in text for sign in SIGNS)


class WithinMemory:
    """Runs batches in parts of at most `limit` rows, which is halved once when the device's memory is exhausted.

    The second time the device is given up: a neighbour takes what this replica needs, and trying again with every
    batch would answer nobody.
    """

    def __init__(self, run: Callable[[Tensors], Tensors], limit: int) -> None:
        self._run = run
        self._halved = False
        self.limit = limit
        self.exhausted = False

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs for `tensors`.

        Raises:
            ModelFailedError: the device's memory is exhausted for good.
        """
        if self.exhausted:
            raise ModelFailedError("the accelerator's memory is exhausted")
        rows = tensors[0].shape[0]
        if rows > self.limit:
            return self._parts(tensors, rows)
        try:
            return self._run(tensors)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if self._halved or rows == 1:
                self.exhausted = True
                raise ModelFailedError("the accelerator's memory is exhausted") from error
        self._halved, self.limit = True, (rows + 1) // 2
        return self._parts(tensors, rows)

    def _parts(self, tensors: Tensors, rows: int) -> Tensors:
        starts = range(0, rows, self.limit)
        parts = [self.run(tuple(tensor[start : start + self.limit] for tensor in tensors)) for start in starts]
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
