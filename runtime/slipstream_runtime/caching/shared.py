"""The level behind the local ones: a Redis that replicas share, asked only where it is quicker than computing.

Whatever happens to it, requests go on: questions have a limit of milliseconds, writing is forgotten about, and while
it is away or slow nobody asks it. Questions of the same moment travel together.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from slipstream_runtime.caching.breaker import LIMIT_SECONDS, Breaker
from slipstream_runtime.caching.entries import Entries
from slipstream_runtime.observing.telemetry import CacheCounts
from slipstream_runtime.protocol.signature import Tensors

logger = logging.getLogger(__name__)

MAX_WAITING = 1024
"""Questions, and answers to write, that may wait; what is more is computed, or not shared."""

TOGETHER = 64
CONNECT_SECONDS = 1.0
WRITE_SECONDS = 1.0

Come = Callable[[Tensors | None], None]
FAILURES = (RedisError, OSError, TimeoutError)


class SharedLevel:
    """Asks and writes; `expected` tells in how many seconds a request of so many rows would be computed."""

    def __init__(
        self, address: str, entries: Entries, ttl_seconds: float, counts: CacheCounts, expected: Callable[[int], float]
    ) -> None:
        # RESP2: no push messages, which nobody here reads. Retrying is the breaker's affair.
        self._client = redis.Redis.from_url(
            address, protocol=2, socket_connect_timeout=CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._entries = entries
        self._ttl_milliseconds = int(ttl_seconds * 1000)
        self._counts = counts
        self._expected = expected
        self._breaker = Breaker()
        self._asked: deque[tuple[bytes, int, Come]] = deque()
        self._unwritten: deque[tuple[bytes, Tensors]] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None

    def ask(self, key: bytes, rows: int, deadline: float, come: Come) -> bool:
        """Return whether Redis is asked; then `come` is called once, with the answer or None."""
        if self._breaker.open or len(self._asked) >= MAX_WAITING:
            return False
        if not self._breaker.worthwhile(self._expected(rows), deadline - monotonic()):
            return False
        self._asked.append((key, rows, come))
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        return True

    def keep(self, key: bytes, outputs: Tensors) -> None:
        """Write an answer some time soon, if Redis is well."""
        if self._breaker.open or len(self._unwritten) >= MAX_WAITING:
            return
        self._unwritten.append((key, outputs))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    def start(self) -> None:
        """Connect, and look every second how Redis is."""
        self._pinging = asyncio.get_running_loop().create_task(self._ping_for_ever())

    async def close(self) -> None:
        """End; questions under way are answered with None."""
        tasks = [task for task in (self._pinging, self._asking, self._writing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask_all(self) -> None:
        try:
            while self._asked:
                together = [self._asked.popleft() for _ in range(min(TOGETHER, len(self._asked)))]
                entries: list[object] = [None] * len(together)
                try:
                    entries = await self._fetch(together) or entries
                finally:
                    for (key, rows, come), entry in zip(together, entries, strict=True):
                        come(None if entry is None else self._entries.open(key, rows, entry))
        finally:
            self._asking = None
            for _, _, come in self._asked:
                come(None)
            self._asked.clear()

    async def _fetch(self, together: list[tuple[bytes, int, Come]]) -> list[object]:
        """Return the entries, or nothing when Redis did not answer in time."""
        if self._breaker.open:
            return []
        begun = monotonic()
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                found = await self._client.mget([self._entries.name(key) for key, _, _ in together])
        except FAILURES as error:
            if self._breaker.failed():
                self._lost(error)
            return []
        self._breaker.succeeded(monotonic() - begun)
        return list(found)

    async def _write_all(self) -> None:
        try:
            while self._unwritten:
                count = min(TOGETHER, len(self._unwritten))
                await self._write([self._unwritten.popleft() for _ in range(count)])
        finally:
            self._writing = None

    async def _write(self, answers: list[tuple[bytes, Tensors]]) -> None:
        if self._breaker.open:
            return
        pipeline = self._client.pipeline(transaction=False)
        for key, outputs in answers:
            entry = self._entries.seal(key, outputs)
            if entry is not None:
                pipeline.set(self._entries.name(key), entry, px=self._ttl_milliseconds)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            if self._breaker.failed():
                self._lost(error)

    async def _ping_for_ever(self) -> None:
        unknown = True
        while True:
            try:
                seconds = await self._ping()
            except FAILURES as error:
                if self._breaker.pinged(None) or unknown:
                    self._lost(error)
            else:
                if self._breaker.pinged(seconds):
                    self._counts.active = True
                    logger.info("the shared cache answers in %.2f ms, and is used", seconds * 1000)
            unknown = False
            await asyncio.sleep(self._breaker.wait)

    async def _ping(self) -> float:
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._client.ping()  # connects, which takes longer than a question may
        begun = monotonic()
        async with asyncio.timeout(LIMIT_SECONDS):
            await self._client.ping()
        return monotonic() - begun

    def _lost(self, error: Exception) -> None:
        """Say once that Redis is away; errors of the client name its address at most, never the password."""
        self._counts.active = False
        self._unwritten.clear()
        words = str(error) or type(error).__name__
        logger.warning("the shared cache is away or slow (%.200s); replicas go on without it", words)
