"""How many requests per second one replica sustains within the latency objective."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Capacity:
    """What one replica is made of.

    Batch latency in the session is T(b) = alpha + beta * b seconds for b rows, up to `max_batch` rows.
    `overhead_seconds` is the processor time of a request outside the session. `percentile` (99 means the 99th) of
    the answers must come within `objective_seconds`. `correction` multiplies the modelled rate by what was learned.
    `threads` is how many processor threads compute a batch, so that session time can be told from the rest.
    """

    alpha_seconds: float
    beta_seconds: float
    max_batch: int
    percentile: float
    objective_seconds: float
    overhead_seconds: float = 0.0
    correction: float = 1.0
    rows_per_request: float = 1.0
    cache_hit_ratio: float = 0.0
    threads: int = 1


def sustainable_rate(capacity: Capacity) -> float:
    """Return the requests per second that one replica holds within its objective; 0 when it holds none."""
    rows = capacity.max_batch
    return capacity.correction * rows / (capacity.alpha_seconds + capacity.beta_seconds * rows)
