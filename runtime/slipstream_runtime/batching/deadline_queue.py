"""The queue in front of the session: earliest deadline first, one bucket for each input shape. Pure."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from slipstream_runtime.batching.curve import Shape
from slipstream_runtime.batching.policy import LEVELS
from slipstream_runtime.protocol.reply import Reply
from slipstream_runtime.protocol.signature import Tensors


class Entry(msgspec.Struct, eq=False):
    """One request that waits for its batch; a Struct is made in a third of the time of a dataclass.

    Attributes:
        level: 1 is the highest, LEVELS the lowest.
        cost: its share of the session's time, in seconds, as predicted when it came.
        order: its place among all that came, set by the queue.
    """

    tensors: Tensors
    rows: int
    arrived: float
    deadline: float
    reply: Reply
    shape: Shape = ()
    level: int = 1
    cost: float = 0.0
    order: int = 0


@dataclass(slots=True)
class Taken:
    """What left the queue: a batch to compute, and requests whose deadline had passed."""

    batch: list[Entry] = field(default_factory=list)
    rows: int = 0
    expired: list[Entry] = field(default_factory=list)


class _Lane:
    """Requests of one shape and level in the order of their deadlines.

    Callers of equal patience come in the order of their deadlines: they cost an append and a popleft. Only a request
    that is due before the last of those goes to the heap.
    """

    __slots__ = ("fifo", "heap")

    def __init__(self) -> None:
        self.fifo: deque[Entry] = deque()
        self.heap: list[tuple[float, int, Entry]] = []

    def __len__(self) -> int:
        return len(self.fifo) + len(self.heap)

    def push(self, entry: Entry) -> None:
        fifo = self.fifo
        if fifo and entry.deadline < fifo[-1].deadline:
            heapq.heappush(self.heap, (entry.deadline, entry.order, entry))
        else:
            fifo.append(entry)

    def head(self) -> Entry | None:
        if self.heap and self._heap_first():
            return self.heap[0][2]
        return self.fifo[0] if self.fifo else None

    def pop(self) -> None:
        if self.heap and self._heap_first():
            heapq.heappop(self.heap)
        else:
            self.fifo.popleft()

    def _heap_first(self) -> bool:
        if not self.fifo:
            return True
        first, heaped = self.fifo[0], self.heap[0]
        return (heaped[0], heaped[1]) < (first.deadline, first.order)


_Bucket = dict[int, _Lane]
"""The lanes of one shape by level; a lane or bucket that is empty is not kept."""


class DeadlineQueue:
    """Waiting requests; those equally urgent leave in order of arrival.

    A request's urgency is its deadline, put off by `level_seconds` for each level below the first: a finite time, so
    that whoever waits is overtaken only by those who came less than that later.
    """

    def __init__(self, level_seconds: float) -> None:
        self._level_seconds = level_seconds
        self._buckets: dict[Shape, _Bucket] = {}
        self._pushed = 0
        self._costs = [0.0] * (LEVELS + 1)
        self.rows = 0

    def __len__(self) -> int:
        return sum(len(lane) for bucket in self._buckets.values() for lane in bucket.values())

    @property
    def shapes(self) -> int:
        """How many shapes wait: each needs a batch of its own."""
        return len(self._buckets)

    def seconds_ahead(self, level: int) -> float:
        """Return the predicted session time of all that waits at `level` or above."""
        return sum(self._costs[: level + 1]) if self.rows else 0.0

    def push(self, entry: Entry) -> None:
        """Add `entry`."""
        self._pushed += 1
        entry.order = self._pushed
        bucket = self._buckets.get(entry.shape)
        if bucket is None:
            bucket = self._buckets[entry.shape] = {}
        lane = bucket.get(entry.level)
        if lane is None:
            lane = bucket[entry.level] = _Lane()
        lane.push(entry)
        self.rows += entry.rows
        self._costs[entry.level] += entry.cost

    def take(self, now: float, bound: Callable[[Shape], int]) -> Taken:
        """Remove the next batch: at most `bound(shape)` rows, or one request alone that is larger.

        It holds the most urgent request, and the next most urgent of the same shape. Requests whose caller has gone
        are dropped; expired ones are handed back for an error.
        """
        taken = Taken()
        while self._buckets and not taken.batch:
            shape = min(self._buckets, key=self._urgency) if len(self._buckets) > 1 else next(iter(self._buckets))
            self._fill(taken, shape, now, bound(shape))
        self._settle_costs()
        return taken

    def expire(self, now: float) -> list[Entry]:
        """Remove and return the requests whose deadline has passed and whose callers still wait."""
        expired = []
        for shape, bucket in list(self._buckets.items()):
            for level, lane in list(bucket.items()):
                while (entry := lane.head()) is not None and entry.deadline <= now:
                    self._pop(lane, entry)
                    if not entry.reply.done():
                        expired.append(entry)
                if entry is None:
                    self._drop(shape, bucket, level)
        self._settle_costs()
        return expired

    def empty(self) -> list[Entry]:
        """Remove and return everything that waits."""
        return self.expire(float("inf"))

    def earliest(self) -> float | None:
        """Return the earliest deadline of all that waits."""
        heads = (lane.head() for bucket in self._buckets.values() for lane in bucket.values())
        return min((entry.deadline for entry in heads if entry is not None), default=None)

    def _urgency(self, shape: Shape) -> tuple[float, int]:
        bucket = self._buckets[shape]
        entry = bucket[self._first(bucket)].head()
        return self._rank(entry)

    def _rank(self, entry: Entry | None) -> tuple[float, int]:
        if entry is None:
            return float("inf"), 0
        return entry.deadline + (entry.level - 1) * self._level_seconds, entry.order

    def _first(self, bucket: _Bucket) -> int:
        """Return the level whose head is the most urgent."""
        if len(bucket) == 1:
            return next(iter(bucket))
        return min(bucket, key=lambda level: self._rank(bucket[level].head()))

    def _fill(self, taken: Taken, shape: Shape, now: float, max_rows: int) -> None:
        bucket = self._buckets[shape]
        while bucket:
            level = self._first(bucket)
            lane, alone = bucket[level], len(bucket) == 1
            if alone and not lane.heap:
                self._fill_in_order(taken, lane.fifo, now, max_rows)
            elif not self._fill_by_rank(taken, lane, now, max_rows, alone=alone):
                return
            if not lane:
                self._drop(shape, bucket, level)
            elif alone:
                return

    def _fill_in_order(self, taken: Taken, fifo: deque[Entry], now: float, max_rows: int) -> None:
        """Take from the one lane there is, the usual case: everything but the request itself is looked up once."""
        batch, expired, rows = taken.batch, taken.expired, taken.rows
        gone, cost = 0, 0.0
        level = fifo[0].level
        while fifo:
            entry = fifo[0]
            if not entry.reply.done():
                if entry.deadline <= now:
                    expired.append(entry)
                elif batch and rows + entry.rows > max_rows:
                    break
                else:
                    batch.append(entry)
                    rows += entry.rows
            fifo.popleft()
            gone += entry.rows
            cost += entry.cost
        taken.rows = rows
        self.rows -= gone
        self._costs[level] -= cost

    def _fill_by_rank(self, taken: Taken, lane: _Lane, now: float, max_rows: int, *, alone: bool) -> bool:
        """Take from `lane` while no other lane may hold the next most urgent request; return whether there is room."""
        batch = taken.batch
        while (entry := lane.head()) is not None:
            gone, expired = entry.reply.done(), entry.deadline <= now
            if not (gone or expired) and batch and taken.rows + entry.rows > max_rows:
                return False
            self._pop(lane, entry)
            if not gone and expired:
                taken.expired.append(entry)
            elif not gone:
                batch.append(entry)
                taken.rows += entry.rows
            if not alone:
                break
        return True

    def _pop(self, lane: _Lane, entry: Entry) -> None:
        lane.pop()
        self.rows -= entry.rows
        self._costs[entry.level] -= entry.cost

    def _drop(self, shape: Shape, bucket: _Bucket, level: int) -> None:
        del bucket[level]
        if not bucket:
            del self._buckets[shape]

    def _settle_costs(self) -> None:
        """Start the sums afresh when nothing waits, so that rounding never adds up."""
        if not self._buckets:
            self._costs = [0.0] * (LEVELS + 1)
