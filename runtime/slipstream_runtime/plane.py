"""The protocol-free way of a request: admit, cache, batch."""

from collections.abc import Callable

import numpy as np

from slipstream_runtime.batching.batcher import Batcher
from slipstream_runtime.batching.policy import admissible_wait, default_patience, retry_after_seconds
from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.callers.gate import Caller
from slipstream_runtime.errors import OverloadedError
from slipstream_runtime.observing.telemetry import OVERLOAD, Telemetry
from slipstream_runtime.protocol.reply import Answer, Reply
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Signature


class DataPlane:
    """Answers decoded requests, whatever protocol they came by; the transports count what was answered."""

    def __init__(
        self,
        signature: Signature,
        batcher: Batcher,
        cache: AnswerCache | None,
        telemetry: Telemetry,
        objective_seconds: float,
    ) -> None:
        self._signature = signature
        self._bucketed = signature.bucketed
        self._batcher = batcher
        self._cache = cache
        self._telemetry = telemetry
        self._patience = default_patience(objective_seconds)

    def admit(self, rows: int = 1, patience: float | None = None, priority: int = 0) -> None:
        """Refuse a request that is predicted to wait longer than its caller would.

        Raises:
            OverloadedError: the predicted wait is past the deadline.
        """
        batcher = self._batcher
        if batcher.spare and patience is None and rows == 1 and not priority:  # a tenth of a small request's cost less
            batcher.spare -= 1
            return
        bound = self._patience if patience is None else patience
        wait = batcher.predicted_wait(rows, priority)
        if wait > admissible_wait(bound, priority):
            self._telemetry.rejected[OVERLOAD] += 1
            raise OverloadedError(
                "overloaded: the answer would come after the deadline; retry later", retry_after_seconds(wait, bound)
            )

    def submit(self, request: InferRequest, caller: Caller, reply: Reply) -> None:
        """Have `request` answered to `reply`, later on the event loop or at once from the cache.

        The caller has been admitted with one row and the patience its transport knew; more is asked here.

        Raises:
            ServingError: it is refused now, and `reply` stays as it is.
        """
        patience = self._patience
        if request.timeout_seconds is not None:
            patience = request.timeout_seconds
        if request.rows > 1 or request.timeout_seconds is not None or request.priority:
            self.admit(request.rows, patience, request.priority)
        deadline = self._batcher.clock() + patience
        if self._cache is None:
            self._compute(request, deadline, reply)
        else:
            compute = self._computation(request, deadline)
            self._cache.submit(request.tensors, caller.tenant, reply, compute, request.rows, deadline)

    def _computation(self, request: InferRequest, deadline: float) -> Callable[[Reply], None]:
        return lambda reply: self._compute(request, deadline, reply)

    def _compute(self, request: InferRequest, deadline: float, reply: Reply) -> None:
        shape = self._signature.bucket(request.tensors) if self._bucketed else ()
        batcher, rows = self._batcher, request.rows
        size = batcher.max_rows
        if rows <= size:
            batcher.submit(request.tensors, rows, deadline, reply, shape, request.priority)
            return
        parts = _Parts(reply, -(-rows // size))
        for number, start in enumerate(range(0, rows, size)):
            tensors = tuple(tensor[start : start + size] for tensor in request.tensors)
            part = _Part(parts, number)
            self._batcher.submit(tensors, min(size, rows - start), deadline, part, shape, request.priority)


class _Parts:
    """The answer to a request of more rows than a batch may have, as it comes together."""

    def __init__(self, reply: Reply, count: int) -> None:
        self.reply = reply
        self._missing = count
        self._answers: list[Answer] = [Answer((), "")] * count

    def add(self, number: int, answer: Answer) -> None:
        """Take one part; the last one completes the answer."""
        self._answers[number] = answer
        self._missing -= 1
        if self._missing == 0 and not self.reply.done():
            outputs = tuple(
                np.concatenate(parts) for parts in zip(*(part.outputs for part in self._answers), strict=True)
            )
            # A switch of variants may fall between two parts; then both are named.
            variants = dict.fromkeys(part.variant for part in self._answers)
            self.reply.set_result(Answer(outputs, ", ".join(variants)))


class _Part:
    """Where the answer to one part goes."""

    __slots__ = ("_number", "_parts")

    def __init__(self, parts: _Parts, number: int) -> None:
        self._parts = parts
        self._number = number

    def done(self) -> bool:
        """Return whether nobody waits for the whole any more."""
        return self._parts.reply.done()

    def set_result(self, answer: Answer, /) -> None:
        """Add the part."""
        self._parts.add(self._number, answer)

    def set_exception(self, error: Exception, /) -> None:
        """Let the whole fail."""
        if not self._parts.reply.done():
            self._parts.reply.set_exception(error)
