"""Keeps copies of one kind's objects: lists them, watches from there, and lists again before long.

The watch makes news quick; the lists make them sure, whatever a watch lost, repeated or confused. Listing takes at
most a fiftieth of the time: a small cluster is listed every 5 s, a large one every minute.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from slipstream_contract import names
from slipstream_operator.cluster.copies import Copies, Place, place_of
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.kube import ListingKube
from slipstream_operator.cluster.queue import Key
from slipstream_operator.errors import ClusterError

Document = dict[str, Any]

LEAST_SECONDS = 5.0
MOST_SECONDS = 60.0
SHARE = 0.02
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
STALE_SECONDS = 10.0
"""A copy is not judged by after the API server has been silent or refusing for this long."""

FIRST_SECONDS = 15.0
OURS = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}

_log = logging.getLogger(__name__)


class Reflector:
    """Copies of the objects of one kind that carry our label, in one namespace or in all (None)."""

    def __init__(
        self,
        kube: ListingKube,
        kind: Kind,
        namespace: str | None,
        changed: Callable[[Iterable[Key]], None],
        slots: asyncio.Semaphore,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare to copy; `changed` is told whose are news, and a page is read when one of `slots` is free."""
        self.kind = kind
        self.copies = Copies()
        self._kube = kube
        self._namespace = namespace
        self._changed = changed
        self._slots = slots
        self._chance = chance
        self._first = asyncio.Event()
        self._version = "0"
        self._trouble = "the API server has not answered yet"
        self._heard_at = self._tried_at = asyncio.get_running_loop().time()

    @property
    def stuck_seconds(self) -> float:
        """For how long nothing was heard, no event, no bookmark, which come each minute, and nothing tried either."""
        return asyncio.get_running_loop().time() - max(self._heard_at, self._tried_at)

    async def ready(self) -> None:
        """Return when the copies may be judged by.

        Raises:
            ClusterError: they may not, because the API server has refused or been silent for too long.
        """
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self._first.wait()
        except TimeoutError:
            raise ClusterError(f"{self.kind.plural} could not be listed: {self._trouble}") from None
        if self._trouble and asyncio.get_running_loop().time() - self._heard_at > STALE_SECONDS:
            raise ClusterError(f"{self.kind.plural} cannot be watched: {self._trouble}")

    async def run(self) -> None:
        """Keep the copies up to date until cancelled."""
        failures = 0
        while True:
            self._tried_at = asyncio.get_running_loop().time()
            try:
                seconds = await self._list()
                await self._follow(period(seconds, self._chance()))
            except ClusterError as error:
                _log.warning("watching %s: %s", self.kind.plural, error)
                self._trouble = str(error)
            except Exception as error:  # noqa: BLE001 (whatever a broken answer led to, the copies must not be left to age)
                _log.exception("watching %s", self.kind.plural)
                self._trouble = f"{type(error).__name__}: {error}"
            else:
                failures = 0
                continue
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)] * (0.5 + self._chance() / 2))
            failures += 1

    async def _list(self) -> float:
        """Take a whole list, page by page; return how long that took."""
        loop = asyncio.get_running_loop()
        began, places, version = loop.time(), set[Place](), "0"
        async with aclosing(self._kube.pages(self.kind, self._namespace, OURS)) as pages:
            while (taken := await self._take_next(pages)) is not None:
                found, version = taken
                places |= found
        self._changed(self.copies.keep_only(places, int(version)))
        self._version = version
        self._heard()
        self._first.set()
        return loop.time() - began

    async def _take_next(self, pages: AsyncGenerator[Document]) -> tuple[set[Place], str] | None:
        """Take the next page, if there is one; return where its objects are, and its version."""
        async with self._slots:
            page = await anext(pages, None)
            if page is None:
                return None
            places = {place_of(document) for document in page["items"]}
            for document in page["items"]:
                self._changed(self.copies.put(self._named(document)))
            page["items"].clear()  # whoever still holds the page need not hold these
            return places, page["metadata"]["resourceVersion"]

    def _named(self, document: Document) -> Document:
        """Return the object with its kind, which the items of a list do not say."""
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind, **document}

    async def _follow(self, seconds: float) -> None:
        """Watch for so long, from where the list ended."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            async with aclosing(self._kube.watch(self.kind, self._namespace, OURS, self._version, left)) as events:
                async for event in events:
                    self._take(event)
            if until - loop.time() > 1.0:
                # It ended early, as a proxy may have it: begin where it ended, without haste.
                await asyncio.sleep(RETRY_SECONDS[0])

    def _take(self, event: Document) -> None:
        kind, document = event["type"], event["object"]
        if kind == "ERROR":
            raise ClusterError(str(document.get("message") or document.get("reason") or "the watch failed"))
        if kind == "DELETED":
            self._changed(self.copies.remove(document))
        elif kind in ("ADDED", "MODIFIED"):
            self._changed(self.copies.put(document))
        elif kind != "BOOKMARK":
            raise ClusterError(f"a watch sent an event of type {kind!r:.40}")
        self._version = document["metadata"]["resourceVersion"]
        self._heard()

    def _heard(self) -> None:
        self._heard_at, self._trouble = asyncio.get_running_loop().time(), ""


def period(list_seconds: float, chance: float) -> float:
    """Return for how long to watch before the next list; `chance` (0 to 1) keeps kinds from being listed together."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, list_seconds / SHARE)) * (0.9 + chance / 5)
