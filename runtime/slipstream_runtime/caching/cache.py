"""The answer cache: exact, bounded in bytes, and one computation for all callers who ask the same at once."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.signature import Tensors

Compute = Callable[[], "asyncio.Future[Tensors]"]


@dataclass(slots=True)
class _Flight:
    """A computation under way, and how many callers wait for it."""

    reply: "asyncio.Future[Tensors]"
    callers: int = 0


class AnswerCache:
    """Answers of one artifact's variant by the digest of their inputs."""

    def __init__(self, store: ByteLru, identity: str, telemetry: Telemetry) -> None:
        self._store = store
        self._identity = hashlib.sha256(identity.encode())
        self._telemetry = telemetry
        self._flights: dict[bytes, _Flight] = {}
        self._loop = asyncio.get_running_loop()

    async def answer(self, tensors: Tensors, compute: Compute) -> Tensors:
        """Return the answer to `tensors`, computed at most once at a time."""
        key = self._key(tensors)
        found = self._store.get(key, self._loop.time())
        if found is not None:
            self._telemetry.answers.hits += 1
            return found
        flight = self._flights.get(key)
        if flight is not None and not flight.reply.done():
            self._telemetry.answers.hits += 1
            return await self._join(flight)
        self._telemetry.answers.misses += 1
        return await self._join(self._depart(key, compute))

    def _depart(self, key: bytes, compute: Compute) -> _Flight:
        flight = self._flights[key] = _Flight(compute())

        def land(reply: "asyncio.Future[Tensors]") -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not reply.cancelled() and reply.exception() is None:
                self._store.put(key, _owned(reply.result()), self._loop.time())

        flight.reply.add_done_callback(land)
        return flight

    async def _join(self, flight: _Flight) -> Tensors:
        """Wait for the flight; only when the last caller has gone is its computation cancelled."""
        flight.callers += 1
        try:
            return await asyncio.shield(flight.reply)
        finally:
            flight.callers -= 1
            if flight.callers == 0 and not flight.reply.done():
                flight.reply.cancel()

    def _key(self, tensors: Tensors) -> bytes:
        digest = self._identity.copy()
        for array in tensors:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.digest()


def _owned(outputs: Tensors) -> Tensors:
    """Return copies, so that an entry does not keep the whole batch alive that it was cut from."""
    copies = tuple(output.copy() for output in outputs)
    for copy in copies:
        copy.setflags(write=False)
    return copies
