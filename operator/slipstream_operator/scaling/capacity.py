"""How many requests per second one replica sustains within the latency objective.

The replica is a server of batches: whatever waits when it falls idle, up to N requests, is computed at once, and a
batch of b requests takes T(b) = a + s * b seconds. Two steps give the share of late answers at an arrival rate L:

1. How many requests n are in the replica: the state-dependent birth-death chain of llm-d's workload-variant
   autoscaler (pkg/analyzer), births at rate L, deaths at rate m(n) = min(n, N) / T(min(n, N)). Its weights are
   p(n) = p(n-1) * L / m(n), geometric beyond N. Arrivals are Poisson, so they find n with probability p(n).
2. What an arrival that finds n waits, in whole batches, where llm-d's analyser stops at the mean: the rest of the
   running batch, u * T(c) with c = min(n, N) and u uniform on [0, 1]; the k = (n - c) // N full batches queued ahead;
   and its own batch, of the j = (n - c) % N requests ahead in it, itself, and the L * wait that come meanwhile, at
   most N. The response is increasing in u, so the share of u for which it is late has a closed form.

The sustainable rate is the greatest L at which the late share is within what the percentile leaves; the share
rises with L, so bisection finds it.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache

_STATES = 256
"""States of the chain that are looked at one by one beyond the first batch; the rest count as late."""

_PRECISION = 1e-3
"""Relative precision of the bisection."""

_LEAST = 1e-6
"""Share of the throughput that bisection takes for nothing."""

_NEGLIGIBLE = -50.0
"""Logarithm of the share of the greatest weight below which a state is left out."""


@dataclass(frozen=True)
class Capacity:
    """What one replica is made of.

    Batch latency in the session is T(b) = alpha + beta * b seconds for b rows, up to `max_batch` rows.
    `overhead_seconds` is the processor time of a request outside the session, cache hits included. `percentile` (99
    means the 99th) of the answers must come within `objective_seconds`. `correction` multiplies the modelled rate by
    what was learned. `cache_hit_ratio` is the share of requests that need no session. `threads` is how many processor
    threads compute a batch, so that a replica's processor time outside the session can be told; None where it cannot.
    `processes` share the replica's port and threads; each is such a server of batches, and gets its share of requests.
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
    threads: int | None = None
    processes: int = 1

    @property
    def batch_requests(self) -> int:
        """How many requests fit a batch; at least one, as larger requests are split over batches."""
        return max(1, int(self.max_batch / self.rows_per_request))

    @property
    def _fixed_seconds(self) -> float:
        """The part `a` of a batch of requests: alpha, once for each batch that one request must be split over."""
        return self.alpha_seconds * max(1, math.ceil(self.rows_per_request / self.max_batch))

    @property
    def _request_seconds(self) -> float:
        """The part `s` of each request that misses the cache, with its share of the hits' overhead."""
        return self.beta_seconds * self.rows_per_request + self.overhead_seconds / (1 - self.cache_hit_ratio)

    def seconds(self, requests: int) -> float:
        """Return how long a batch of this many requests keeps the replica busy, in seconds."""
        return self._fixed_seconds + self._request_seconds * requests


def throughput(capacity: Capacity) -> float:
    """Return the requests per second that one replica answers in full batches, whatever their latency."""
    return _arrivals(capacity, _full_rate(capacity, capacity.batch_requests))


def sustainable_rate(capacity: Capacity) -> float:
    """Return the requests per second that one replica holds within its objective; 0 when it holds none."""
    return capacity.correction * _modelled_rate(replace(capacity, correction=1.0))


@lru_cache(maxsize=1024)
def _modelled_rate(capacity: Capacity) -> float:
    """Return the rate before the correction; kept, as a decision asks several times and the next one again."""
    largest = _largest_batch(capacity)
    if largest == 0:
        return 0.0
    chain, allowed = _Chain(capacity, largest), 1 - capacity.percentile / 100
    low, high = 0.0, 1.0
    while high - low > _PRECISION * high and high > _LEAST:
        middle = (low + high) / 2
        if chain.late_share(middle * chain.full_rate) <= allowed:
            low = middle
        else:
            high = middle
    return _arrivals(capacity, low * chain.full_rate)


def _arrivals(capacity: Capacity, misses: float) -> float:
    """Return the arrival rate that leaves `misses` requests per second for each session, as corrected."""
    return capacity.correction * capacity.processes * misses / (1 - capacity.cache_hit_ratio)


def _full_rate(capacity: Capacity, batch: int) -> float:
    return batch / max(capacity.seconds(batch), 1e-9)


def _largest_batch(capacity: Capacity) -> int:
    """Return the largest batch that is itself within the objective: the batcher forms none above it."""
    low, high = 0, capacity.batch_requests
    while low < high:
        middle = (low + high + 1) // 2
        if capacity.seconds(middle) <= capacity.objective_seconds:
            low = middle
        else:
            high = middle - 1
    return low


class _Chain:
    """The chain of one capacity in batches of at most `batch` requests; what no rate changes is computed once."""

    def __init__(self, capacity: Capacity, batch: int) -> None:
        self._batch = batch
        self._objective = capacity.objective_seconds
        self._slope = capacity.seconds(1) - capacity.seconds(0)
        self._seconds = [max(capacity.seconds(count), 1e-9) for count in range(batch + 1)]
        self.full_rate = _full_rate(capacity, batch)
        steps = (math.log(self._seconds[min(n, batch)] / min(n, batch)) for n in range(1, batch + _STATES + 1))
        self._logarithms = [0.0, *itertools.accumulate(steps)]

    def late_share(self, rate: float) -> float:
        """Return the share of answers later than the objective at `rate` requests per second, below `full_rate`."""
        logarithm = math.log(rate)
        logarithms = [n * logarithm + value for n, value in enumerate(self._logarithms)]
        top = max(logarithms)
        total = late = weight = given = 0.0
        for found, value in enumerate(logarithms):
            weight = math.exp(value - top) if value - top > _NEGLIGIBLE else 0.0
            total += weight
            if weight and given < 1:  # the more are found, the later: once surely late, always so
                given = self._late_given(found, rate)
            late += weight * given
        load = rate / self.full_rate
        beyond = weight * load / (1 - load)
        return (late + beyond) / (total + beyond)

    def _late_given(self, found: int, rate: float) -> float:
        """Return the probability that an arrival which finds `found` requests is answered late."""
        if found == 0:
            return 0.0
        running = min(found, self._batch)
        full, ahead = divmod(found - running, self._batch)
        in_full_batch = self._objective - self._seconds[-1]
        in_partial_batch = (self._objective - self._seconds[ahead + 1]) / (1 + self._slope * rate)
        longest_wait = max(in_full_batch, in_partial_batch) - full * self._seconds[-1]
        return 1 - min(1.0, max(0.0, longest_wait / self._seconds[running]))
