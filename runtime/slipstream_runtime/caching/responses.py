"""The outer level: whole HTTP answers by the raw body, so that a hit costs neither decoding nor encoding."""

import logging
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import NamedTuple

from slipstream_runtime.caching.keys import body_key, body_sample, context_digest
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.caching.worth import Worth
from slipstream_runtime.observing.telemetry import CacheCounts

logger = logging.getLogger(__name__)

KEPT_OVERHEAD = 112
"""What a `Kept` takes besides the bytes of its answer."""

MAX_CONTEXTS = 4096

Key = tuple[bytes, str]
"""The digest, and the variant that was asked."""


class Kept(NamedTuple):
    """A whole answer, as it was sent, and how many rows it answers."""

    answer: bytes
    rows: int


class ResponseCache:
    """Answers of code 200 by tenant, artifact, variant, route and body."""

    def __init__(
        self,
        store: ByteLru,
        artifact: str,
        variant: str,
        counts: CacheCounts,
        saved: Callable[[], float | None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._artifact = artifact.encode()
        self._counts = counts
        self._clock = clock
        self._worth = Worth(saved, self._changed)
        self._contexts: dict[tuple[bytes, str, int | None], bytes] = {}
        self._timed = True
        counts.active = True
        self.switch(variant)

    def switch(self, variant: str) -> None:
        """Look for answers of `variant` from now on; those of another are not found any more, and age out."""
        self.variant = variant
        self._contexts.clear()

    def find(self, tenant: bytes, route: str, header_length: int | None, body: bytes) -> tuple[Key | None, Kept | None]:
        """Return the key to `keep` the answer under, None to leave it; and what was kept, None if it is not here.

        `route` tells apart the forms of asking, `header_length` where binary tensors begin in the body. The parts of
        a request that are not here (timeout, priority) must change when it is answered only, never what.
        """
        worth = self._worth
        if not (worth.active or worth.sampled(body_sample(body))):
            return None, None
        begun = perf_counter() if self._timed else 0.0
        asked = (tenant, route, header_length)
        context = self._contexts.get(asked) or self._context(asked)
        digest = body_key(body, context)
        kept: Kept | None = self._store.get(digest, self._clock())
        if begun:
            worth.look.add(perf_counter() - begun)
        if kept is None:
            self._counts.misses += 1
            self._timed = worth.looked(hit=False)
            return (digest, self.variant), None
        self._counts.hits += 1
        self._timed = worth.looked(hit=True)
        return None, kept

    def keep(self, key: Key | None, answer: bytes, rows: int, variant: str) -> None:
        """Keep the `answer` of `variant`, one of code 200, unless another was asked, before a switch."""
        if key is None or key[1] != variant:
            return
        begun = perf_counter()
        self._store.put(key[0], Kept(answer, rows), len(answer) + KEPT_OVERHEAD, self._clock(), self._counts)
        self._worth.keep.add(perf_counter() - begun)

    def _context(self, asked: tuple[bytes, str, int | None]) -> bytes:
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        tenant, route, header_length = asked
        parts = (
            b"response",
            self._artifact,
            self.variant.encode(),
            tenant,
            route.encode(),
            repr(header_length).encode(),
        )
        context = self._contexts[asked] = context_digest(*parts)
        return context

    def _changed(self, worth: Worth) -> None:
        self._counts.active = worth.active
        logger.info("the cache of whole answers is switched %s: %s", "on" if worth.active else "off", worth.reason)
