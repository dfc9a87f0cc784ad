"""The protocol-free way of a request: admit, cache, batch."""

import asyncio

import numpy as np

from slipstream_runtime.batching.batcher import Batcher
from slipstream_runtime.batching.deadline_queue import Shape
from slipstream_runtime.batching.policy import default_patience, retry_after_seconds
from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.errors import OverloadedError
from slipstream_runtime.observing.telemetry import OVERLOAD, Telemetry
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.signature import Signature, Tensors


class _OutputsReply:
    """Hands the outputs alone to a future."""

    def __init__(self, future: "asyncio.Future[Tensors]") -> None:
        self._future = future
        self.done = future.done
        self.set_exception = future.set_exception

    def set_result(self, answer: Answer) -> None:
        """Hand over the outputs."""
        self._future.set_result(answer.outputs)


class DataPlane:
    """Answers decoded requests, whatever protocol they came by."""

    def __init__(
        self,
        signature: Signature,
        batcher: Batcher,
        cache: AnswerCache | None,
        telemetry: Telemetry,
        objective_seconds: float,
        variant: str,
    ) -> None:
        self._signature = signature
        self._batcher = batcher
        self._cache = cache
        self._telemetry = telemetry
        self._variant = variant
        self._patience = default_patience(objective_seconds)

    def admit(self, rows: int = 1, patience: float | None = None) -> None:
        """Refuse a request that is predicted to wait longer than its caller would.

        Raises:
            OverloadedError: the predicted wait is past the deadline.
        """
        bound = self._patience if patience is None else patience
        wait = self._batcher.predicted_wait(rows)
        if wait > bound:
            self._telemetry.rejected[OVERLOAD] += 1
            raise OverloadedError(
                "overloaded: the answer would come after the deadline; retry later", retry_after_seconds(wait, bound)
            )

    async def answer(self, request: InferRequest) -> Tensors:
        """Return the outputs for `request`.

        Raises:
            ServingError: the model failed on it, or its deadline passed.
        """
        patience = self._patience
        if request.timeout_seconds is not None:
            patience = request.timeout_seconds
            self.admit(request.rows, patience)
        deadline = self._batcher.clock() + patience
        if self._cache is None:
            outputs = await self._compute(request, deadline)
        else:
            outputs = await self._cache.answer(request.tensors, lambda: self._compute(request, deadline))
        self._telemetry.served(self._variant, request.rows)
        return outputs

    def _compute(self, request: InferRequest, deadline: float) -> "asyncio.Future[Tensors]":
        if request.rows > self._batcher.max_rows:
            return asyncio.ensure_future(self._compute_parts(request, deadline))
        return self._submit(request.tensors, request.rows, deadline, self._signature.bucket(request.tensors))

    def _submit(self, tensors: Tensors, rows: int, deadline: float, shape: Shape) -> "asyncio.Future[Tensors]":
        future: asyncio.Future[Tensors] = asyncio.get_running_loop().create_future()
        self._batcher.submit(tensors, rows, deadline, _OutputsReply(future), shape)
        return future

    async def _compute_parts(self, request: InferRequest, deadline: float) -> Tensors:
        """Compute a request of more rows than a batch may have, part by part."""
        size, shape = self._batcher.max_rows, self._signature.bucket(request.tensors)
        replies = []
        for start in range(0, request.rows, size):
            part = tuple(tensor[start : start + size] for tensor in request.tensors)
            replies.append(self._submit(part, min(size, request.rows - start), deadline, shape))
        parts = await asyncio.gather(*replies)
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
