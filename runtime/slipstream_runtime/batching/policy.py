"""How large a batch may be, how long a request would wait, and whether to take it. Pure."""

import math

from slipstream_runtime.batching.curve import Line

MAX_ROWS = 128
"""The largest batch unless the user sets one: beyond it CPUs gain nothing more per row."""

PATIENCE = 2.0
"""A caller who states no deadline is given this many times the objective."""

SHORTEST_PATIENCE_SECONDS = 0.05
"""But never less than this: below it the scheduler's own hiccups would shed requests."""


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


def predicted_wait(line: Line, rows_ahead: int, max_rows: int, running_left: float) -> float:
    """Return the seconds until the last of `rows_ahead` queued rows is computed, after the running batch."""
    if rows_ahead <= 0:
        return running_left
    batches = -(-rows_ahead // max_rows)
    return running_left + batches * line.alpha + rows_ahead * line.beta


def retry_after_seconds(wait: float, patience: float) -> int:
    """Return whole seconds until a retry has a chance, at least one as the header has no fractions."""
    return max(1, math.ceil(wait - patience))
