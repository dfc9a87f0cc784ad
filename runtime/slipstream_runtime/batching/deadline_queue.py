"""The queue in front of the session: earliest deadline first, one bucket for each input shape. Pure."""

import heapq
from dataclasses import dataclass, field

from slipstream_runtime.protocol.reply import Reply
from slipstream_runtime.protocol.signature import Tensors

Shape = tuple[tuple[int, ...], ...]


@dataclass(slots=True, eq=False)
class Entry:
    """One request that waits for its batch."""

    tensors: Tensors
    rows: int
    arrived: float
    deadline: float
    reply: Reply
    shape: Shape = ()
    priority: int = 0


@dataclass(slots=True)
class Taken:
    """What left the queue: a batch to compute, and requests whose deadline had passed."""

    batch: list[Entry] = field(default_factory=list)
    rows: int = 0
    expired: list[Entry] = field(default_factory=list)


class DeadlineQueue:
    """Waiting requests; those with equal deadlines leave in order of arrival."""

    def __init__(self) -> None:
        self._buckets: dict[Shape, list[tuple[float, int, Entry]]] = {}
        self._pushed = 0
        self.rows = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def push(self, entry: Entry) -> None:
        """Add `entry`."""
        self._pushed += 1
        self.rows += entry.rows
        heapq.heappush(self._buckets.setdefault(entry.shape, []), (entry.deadline, self._pushed, entry))

    def take(self, now: float, max_rows: int) -> Taken:
        """Remove the next batch: at most `max_rows`, or one request alone that is larger.

        Requests whose caller has gone are dropped; expired ones are handed back for an error.
        """
        taken = Taken()
        while self._buckets and not taken.batch:
            shape = min(self._buckets, key=self._most_urgent) if len(self._buckets) > 1 else next(iter(self._buckets))
            self._fill(taken, self._buckets[shape], now, max_rows)
            if not self._buckets[shape]:
                del self._buckets[shape]
        return taken

    def _most_urgent(self, shape: Shape) -> tuple[float, int]:
        return self._buckets[shape][0][:2]

    def _fill(self, taken: Taken, bucket: list[tuple[float, int, Entry]], now: float, max_rows: int) -> None:
        while bucket:
            entry = bucket[0][2]
            gone, expired = entry.reply.done(), entry.deadline <= now
            if not (gone or expired) and taken.batch and taken.rows + entry.rows > max_rows:
                return
            heapq.heappop(bucket)
            self.rows -= entry.rows
            if gone:
                continue
            if expired:
                taken.expired.append(entry)
            else:
                taken.batch.append(entry)
                taken.rows += entry.rows
