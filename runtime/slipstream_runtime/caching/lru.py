"""A byte-bounded least-recently-used store with a time to live. Pure: the caller tells the time."""

from collections import OrderedDict
from dataclasses import dataclass

from slipstream_runtime.protocol.signature import Tensors

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its numbers: key, dictionary slot, array objects."""


@dataclass(slots=True)
class _Item:
    value: Tensors
    size: int
    expires: float


class ByteLru:
    """Answers by key; the least recently used leave first when the bytes run out."""

    def __init__(self, max_bytes: int, ttl_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._ttl = ttl_seconds
        self._items: OrderedDict[bytes, _Item] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: bytes, now: float) -> Tensors | None:
        """Return the value of `key` if it is there and has not expired."""
        item = self._items.get(key)
        if item is None:
            return None
        if item.expires <= now:
            self._remove(key)
            return None
        self._items.move_to_end(key)
        return item.value

    def put(self, key: bytes, value: Tensors, now: float) -> None:
        """Keep `value`, unless it alone is larger than the store."""
        if key in self._items:
            self._remove(key)
        size = sum(array.nbytes for array in value) + ENTRY_OVERHEAD_BYTES
        if size > self._max_bytes:
            return
        while self.bytes + size > self._max_bytes:
            self._remove(next(iter(self._items)))
        self._items[key] = _Item(value, size, now + self._ttl)
        self.bytes += size

    def _remove(self, key: bytes) -> None:
        self.bytes -= self._items.pop(key).size
