"""The inner level: answers by the model's inputs, however they were sent; one computation for equal requests."""

import logging
import math
import sys
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from slipstream_runtime.caching.flights import Compute, Flight, Flights, Waiting
from slipstream_runtime.caching.keys import context_digest, tensors_key, tensors_sample
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.caching.worth import Worth
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer, Reply
from slipstream_runtime.protocol.signature import Array, Tensors

if TYPE_CHECKING:
    from slipstream_runtime.caching.shared import SharedLevel

logger = logging.getLogger(__name__)

ARRAY_OVERHEAD = 160
"""What a numpy array of a few axes takes besides its numbers, with its place in the tuple."""

MAX_CONTEXTS = 4096

MAX_INPUT_BYTES = 1024 * 1024
"""Hashing more of them on the event loop would hold up everyone else by a millisecond."""


class AnswerCache:
    """Answers of one artifact by tenant, variant and inputs; only whole, finite answers of that variant are kept."""

    def __init__(
        self,
        store: ByteLru,
        artifact: str,
        variant: str,
        telemetry: Telemetry,
        saved: Callable[[], float | None],
        *,
        shared: "SharedLevel | None" = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._artifact = artifact.encode()
        self._telemetry = telemetry
        self._counts = telemetry.answers
        self._counts.active = True
        self._shared = shared
        self._clock = clock
        self._worth = Worth(saved, self._changed)
        self._flights = Flights(clock, self._land)
        self._contexts: dict[bytes, bytes] = {}
        self._timed = True
        self.switch(variant)

    def switch(self, variant: str) -> None:
        """Look for answers of `variant` from now on; those of another are not found any more, and age out."""
        self._variant = variant
        self._contexts.clear()

    def submit(
        self,
        tensors: Tensors,
        tenant: bytes,
        reply: Reply,
        compute: Compute,
        rows: int = 1,
        deadline: float = math.inf,
    ) -> None:
        """Settle `reply`: at once with an answer that is here, or when one that is under way or begun now comes.

        `deadline` is in seconds of `clock`.

        Raises:
            ServingError: as `compute` does when it cannot begin.
        """
        worth = self._worth
        if _large(tensors) or not (worth.active or worth.sampled(tensors_sample(tensors))):
            compute(reply)
            return
        begun = perf_counter() if self._timed else 0.0
        key = tensors_key(tensors, self._contexts.get(tenant) or self._context(tenant))
        answer: Answer | None = self._store.get(key, self._clock())
        caller = Waiting(reply, compute, deadline)
        found = answer is not None or self._flights.join(key, caller)
        if begun:
            worth.look.add(perf_counter() - begun)
        self._timed = worth.looked(hit=found)
        if answer is not None:
            self._counts.hits += 1
            reply.set_result(answer)
        elif found:
            self._counts.hits += 1
        else:
            self._counts.misses += 1
            self._depart(self._flights.depart(key, caller, rows, self._variant), caller)

    def _depart(self, flight: Flight, caller: Waiting) -> None:
        def come(outputs: Tensors | None) -> None:
            if flight.done():
                return
            if outputs is not None:
                self._telemetry.redis.hits += 1
                self._worth.hits += 1
                flight.shared = True
                flight.set_result(Answer(outputs, flight.variant))
                return
            self._telemetry.redis.misses += 1
            try:
                flight.start(caller.compute)
            except Exception as error:  # noqa: BLE001  it is the callers' answer, whatever it is
                flight.set_exception(error)

        shared = self._shared
        if shared is None or not shared.ask(flight.key, flight.rows, caller.deadline, come):
            flight.start(caller.compute)

    def _land(self, flight: Flight, answer: Answer) -> None:
        """Keep an answer; one that another variant gave, after a switch, is not what its key says."""
        if answer.variant != flight.variant:
            return
        begun = perf_counter()
        outputs = tuple(_owned(output) for output in answer.outputs)
        size = sum(map(_size, outputs))
        self._store.put(flight.key, Answer(outputs, answer.variant), size, self._clock(), self._counts)
        if self._shared is not None and not flight.shared:
            self._shared.keep(flight.key, outputs)
        self._worth.keep.add(perf_counter() - begun)

    def _context(self, tenant: bytes) -> bytes:
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        parts = (b"answer", self._artifact, self._variant.encode(), tenant)
        context = self._contexts[tenant] = context_digest(*parts)
        return context

    def _changed(self, worth: Worth) -> None:
        self._counts.active = worth.active
        logger.info("the cache of answers is switched %s: %s", "on" if worth.active else "off", worth.reason)


def _large(tensors: Tensors) -> bool:
    return sum([tensor.nbytes for tensor in tensors]) > MAX_INPUT_BYTES


def _owned(output: Array) -> Array:
    """Return a copy that nobody writes to, so that an entry does not keep the whole batch it was cut from."""
    copy = output.copy()
    copy.setflags(write=False)
    return copy


def _size(output: Array) -> int:
    """Return the bytes that an output takes; numpy counts the places of strings only."""
    strings = sum(map(sys.getsizeof, output.flat)) if output.dtype.kind == "O" else 0
    return output.nbytes + ARRAY_OVERHEAD + strings
