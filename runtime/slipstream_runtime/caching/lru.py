"""A byte-bounded least-recently-used store with a time to live, for all levels. Pure: the caller tells the time."""

from collections import OrderedDict
from typing import Any

from slipstream_runtime.observing.telemetry import CacheCounts

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its value: key, two dictionary slots (with room to grow), the tuple, its numbers."""


class ByteLru:
    """Values by key; the least recently used leave first when the bytes run out.

    Every level keeps its entries here under keys of its own kind, so that the level that is used more gets the room.
    Keys are whole digests, and the dictionary compares all their bytes: keys whose hashes collide stay apart.
    """

    def __init__(self, max_bytes: int, ttl_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._ttl = ttl_seconds
        self._items: OrderedDict[bytes, tuple[Any, int, float, CacheCounts]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: bytes, now: float) -> Any:
        """Return the value of `key` if it is there and has not expired, else None."""
        item = self._items.get(key)
        if item is None:
            return None
        if item[2] <= now:
            self._remove(key)
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key: bytes, value: object, size: int, now: float, counts: CacheCounts) -> None:
        """Keep `value` of `size` bytes for the level of `counts`, unless it alone is larger than the store."""
        if key in self._items:
            self._remove(key)
        size += ENTRY_OVERHEAD_BYTES
        if size > self._max_bytes:
            return
        while self.bytes + size > self._max_bytes:
            self._remove(next(iter(self._items)))
        self._items[key] = (value, size, now + self._ttl, counts)
        self.bytes += size
        counts.held_bytes += size

    def _remove(self, key: bytes) -> None:
        _, size, _, counts = self._items.pop(key)
        self.bytes -= size
        counts.held_bytes -= size
