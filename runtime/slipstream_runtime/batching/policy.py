"""How large a batch may be, how long a request would wait, and whether to take it. Pure."""

import math

from slipstream_runtime.batching.curve import Line

MAX_ROWS = 128
"""The largest batch unless the user sets one: beyond it CPUs gain nothing more per row."""

PATIENCE = 2.0
"""A caller who states no deadline is given this many times the objective."""

SHORTEST_PATIENCE_SECONDS = 0.05
"""But never less than this: below it the scheduler's own hiccups would shed requests."""


MARGIN = 0.75
"""The share of its patience that a request may be predicted to wait: predictions err, late answers are lost work."""

LEVELS = 8
"""Priorities beyond this count as this one."""

PAYS = 1.1
"""Batches are formed where they give at least 10 % more rows a second than single requests."""

WORTHWHILE = 0.99
"""A batch is large enough when it gives this share of the most rows a second that any size gives."""

EXPLORE = 64
EXPLORED_ROWS = 8
"""Where they are not, one batch in 64 may have up to 8 rows: 1 % of the work at most, and enough to see a slope."""


def default_patience(objective_seconds: float) -> float:
    """Return how long a request without a stated deadline may take.

    More than the objective, so that an overload shows as late answers, which the operator scales by, before it
    shows as refusals; bounded, so that the queue is.
    """
    return max(PATIENCE * objective_seconds, SHORTEST_PATIENCE_SECONDS)


def largest_batch(line: Line, objective_seconds: float, cap: int) -> int:
    """Return the most rows one batch may have.

    The largest b with T(b) <= objective / 2: a request that just misses a batch waits for that batch and then for
    its own. Where even one row takes longer, batches may take half as long again as one row, because a batch of
    one would give up the throughput and still miss the objective.
    """
    budget = max(objective_seconds / 2, 1.5 * line.seconds(1))
    if line.seconds(cap) <= budget or line.beta <= 0:
        return cap
    return min(cap, max(1, math.floor((budget - line.alpha) / line.beta)))


def worthwhile_batch(points: tuple[tuple[int, float], ...]) -> int:
    """Return the smallest of the measured (rows, seconds) beyond which batches give hardly more rows a second.

    T is not straight for ever: a batch that outgrows a cache costs more a row, and only makes its callers wait.
    """
    best = max(rows / seconds for rows, seconds in points)
    return min(rows for rows, seconds in points if rows / seconds >= WORTHWHILE * best)


def batch_bound(line: Line, largest: int, batches: int) -> int:
    """Return the rows that the next batch may have, of at most `largest`, when `batches` have been formed so far.

    Batching pays when `largest` rows together take at least PAYS times less than one after the other:
    largest * T(1) / T(largest) >= PAYS. Where it does not, each request runs by itself, as sharing would only make
    the first wait for the last; every EXPLORE-th batch may still be small, so that the line shows when that changes.
    """
    if largest == 1 or largest * line.seconds(1) >= PAYS * line.seconds(largest):
        return largest
    return min(largest, EXPLORED_ROWS) if batches % EXPLORE == 0 else 1


def own_seconds(line: Line, rows: int, largest: int) -> float:
    """Return what a request of `rows` takes by itself, in batches of at most `largest`."""
    return -(-rows // largest) * line.alpha + rows * line.beta


def shared_seconds(line: Line, rows: int, largest: int) -> float:
    """Return what a request of `rows` adds to full batches of `largest`: its share of alpha, and its own beta."""
    return rows * (line.alpha / largest + line.beta)


def loop_wait(last_turn: float, elapsed: float) -> float:
    """Return the most seconds that a request read now spends outside the queue.

    One turn of the event loop reads all sockets that have become readable since the last turn did, so that a request
    waited for at most that turn and what has passed of this one, and waits for the rest of this one, which is about
    as long as the last: last_turn + max(last_turn, elapsed).
    """
    return last_turn + max(last_turn, elapsed)


def level_of(priority: int) -> int:
    """Return the level of a request's `priority`: as in Triton 1 is the highest, and 0, the default, means 1 here."""
    return min(max(priority, 1), LEVELS)


def admissible_wait(patience: float, priority: int) -> float:
    """Return the longest predicted wait at which a request is taken: MARGIN of its patience, at level p a p-th of that.

    So lower levels are refused first when a queue builds up.
    """
    return MARGIN * patience / level_of(priority)


def retry_after_seconds(wait: float, patience: float) -> int:
    """Return whole seconds until a retry has a chance, at least one as the header has no fractions."""
    return max(1, math.ceil(wait - patience))
