"""The work queue: one turn at a time per key, bursts become one turn, failures back off, delays bring a key again.

Where more turns are due than can be done at once, those that a change asks for go before those that only look again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from slipstream_operator.cluster.pacing import Pace

Key = tuple[str, str]
"""Namespace and name."""

Handle = Callable[[Key], Awaitable[float | None]]
"""Does a key's turn; returns after how many seconds it wants another, or None when the key is no more."""

_log = logging.getLogger(__name__)

CONCURRENCY = 16
LOOK_EVERY = 4
"""At least one in so many turns only looks again: no stream of changes keeps the others from being looked at."""


@dataclass
class _Entry:
    """What is known of one key; its next turn is due at `due_at`, when `timer` goes off, for a change or to look."""

    pace: Pace
    due_at: float = float("inf")
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    changed: bool = False
    """Whether something changed since its turn began or, if none runs, since its last one."""


class WorkQueue:
    """Gives keys their turns, on the running event loop."""

    def __init__(
        self, handle: Handle, concurrency: int = CONCURRENCY, chance: Callable[[], float] = random.random
    ) -> None:
        self._handle = handle
        self._concurrency = concurrency
        self._chance = chance
        self._entries: dict[Key, _Entry] = {}
        self._news: dict[Key, None] = {}
        """Keys whose turn is due because of a change, in order."""
        self._looks: dict[Key, None] = {}
        """The others whose turn is due, in order."""
        self._running = 0
        self._begun = 0
        self._stopped = False

    def add(self, key: Key) -> None:
        """Ask for a turn of `key` soon, because something changed."""
        if self._stopped:
            return
        entry = self._entries.setdefault(key, _Entry(Pace()))
        entry.changed = True
        if key in self._looks:
            del self._looks[key]
            self._news[key] = None
        elif entry.task is None and key not in self._news:
            self._schedule(key, entry, entry.pace.on_change())

    def add_all(self, keys: Iterable[Key]) -> None:
        """Ask for a turn of each key."""
        for key in keys:
            self.add(key)

    def add_unknown(self, keys: Iterable[Key]) -> None:
        """Ask for a turn of each key that has none to come: those that are known come again by themselves."""
        self.add_all(key for key in keys if key not in self._entries)

    def overdue_seconds(self) -> float:
        """Return for how long the most overdue key has waited for its turn to begin or end."""
        now = asyncio.get_running_loop().time()
        return max((now - entry.due_at for entry in self._entries.values()), default=0.0)

    async def stop(self, patience_seconds: float) -> None:
        """Begin no further turns; those that run may take `patience_seconds` to end and are then cancelled."""
        self._stopped = True
        self._news.clear()
        self._looks.clear()
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for entry in self._entries.values():
            if entry.timer is not None:
                entry.timer.cancel()
        if tasks:
            _, running = await asyncio.wait(tasks, timeout=patience_seconds)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _schedule(self, key: Key, entry: _Entry, at: float) -> None:
        """Begin the next turn at the time `at`, unless it begins earlier anyway."""
        if entry.timer is not None:
            if entry.due_at <= at:
                return
            entry.timer.cancel()
        loop = asyncio.get_running_loop()
        entry.due_at = max(at, loop.time())
        entry.timer = loop.call_at(entry.due_at, self._begin, key, entry)

    def _begin(self, key: Key, entry: _Entry) -> None:
        entry.timer = None
        (self._news if entry.changed else self._looks)[key] = None
        self._fill()

    def _fill(self) -> None:
        """Begin as many of the turns that are due as may run at once."""
        while self._running < self._concurrency and (self._news or self._looks):
            looks = bool(self._looks) and (not self._news or self._begun % LOOK_EVERY == 0)
            waiting = self._looks if looks else self._news
            key = next(iter(waiting))
            del waiting[key]
            self._running += 1
            self._begun += 1
            entry = self._entries[key]
            entry.changed = False
            entry.task = asyncio.get_running_loop().create_task(self._turn(key, entry), name="/".join(key))

    async def _turn(self, key: Key, entry: _Entry) -> None:
        delay: float | None = None
        failed = False
        try:
            delay = await self._handle(key)
        except Exception as error:  # noqa: BLE001 (a queue that dies of one key's error would fail all others)
            failed = True
            _log.warning("%s/%s: %s", *key, error, exc_info=not _is_expected(error))
        finally:
            self._running -= 1
        self._end(key, entry, delay, failed)

    def _end(self, key: Key, entry: _Entry, delay: float | None, failed: bool) -> None:
        now = asyncio.get_running_loop().time()
        entry.task, entry.due_at = None, float("inf")
        entry.pace = entry.pace.failed(now) if failed else entry.pace.succeeded(now)
        if self._stopped:
            return
        if failed:
            self._schedule(key, entry, entry.pace.on_failure(self._chance()))
        elif delay is not None:
            self._schedule(key, entry, now + delay)
        if entry.changed:
            self._schedule(key, entry, entry.pace.on_change())
        elif entry.timer is None:
            del self._entries[key]
        self._fill()


def _is_expected(error: Exception) -> bool:
    """Return whether the message says it all, so that a traceback would only hide it."""
    return hasattr(error, "exit_code")
