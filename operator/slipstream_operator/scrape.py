"""Reads replicas' metrics over HTTP; a replica that lies, stalls or floods gives no sample, and never harms us."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

import aiohttp

from slipstream_operator.scaling.exposition import MAX_BYTES, ExpositionError, parse
from slipstream_operator.scaling.samples import ReplicaSample

TIMEOUT_SECONDS = 1.0
CONCURRENCY = 64
IDLE_SECONDS = 5.0
"""A connection is kept for the next scrape for so long; of thousands that are scraped rarely few are then open."""

_log = logging.getLogger(__name__)


class Scraper:
    """Scrapes many replicas at once over one connection pool."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def scrape(self, targets: Iterable[tuple[str, str]], at: float) -> tuple[ReplicaSample, ...]:
        """Return a sample of each (replica uid, URL) in `targets` that answered well, stamped with the time `at`."""
        results = await asyncio.gather(*(self._one(uid, url, at) for uid, url in targets))
        return tuple(sample for sample in results if sample is not None)

    async def answers(self, url: str) -> bool:
        """Return whether `url` answers 200 in time."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._client().get(url, allow_redirects=False) as response:
                return response.status == 200
        return False

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, trust_env=False, auto_decompress=False
            )
        return self._session

    async def _one(self, uid: str, url: str, at: float) -> ReplicaSample | None:
        try:
            async with self._slots:  # the time-out begins once it is this replica's turn
                body = await self._body(url)
            return parse(body, uid, at)
        except (aiohttp.ClientError, TimeoutError, ExpositionError) as error:
            _log.debug("no sample of %s: %s", uid, error)
            return None

    async def _body(self, url: str) -> str:
        async with self._client().get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ExpositionError(f"{url}: status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(16384):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ExpositionError(f"{url}: more than {MAX_BYTES} bytes")
            return body.decode("utf-8", "replace")
