"""Corrects the capacity model by what the running replicas show: slowly, within bounds, and up only on proof.

A pair of (rate, latency quantile) that was observed says by how much the model errs: the model names the rate at
which it would expect that quantile, and the ratio of the two rates is the correction (the idea is NVIDIA Dynamo's
planner's, which takes the ratio of latencies; of rates, it can be applied to the sustainable rate as it is). Away
from saturation the quantile hardly depends on the rate, so there the pair says nothing; the time of a batch still
does, and a replica that computes slower than the builder measured is corrected before it is ever saturated.
"""

import math
from dataclasses import dataclass, replace

from slipstream_operator.scaling.capacity import Capacity, sustainable_rate
from slipstream_operator.scaling.model import State
from slipstream_operator.scaling.signals import Totals
from slipstream_operator.scaling.tuning import Tuning

LEAST_CORRECTION, GREATEST_CORRECTION = 0.25, 1.5
"""However wrong the model seems, one bad measurement must not order the maximum nor starve the service."""

HIT_RATIO_LIMIT = 0.9
"""No more than this share of requests is planned to be answered from the cache: a new replica's is empty."""

_TELLING_LOAD = 0.5
_PROVING_LOAD = 0.9
_BUSY_PROCESSOR = 0.2


@dataclass(frozen=True)
class Experience:
    """What warm replicas showed: totals of the last seconds, and the latency quantile in seconds if there is one."""

    totals: Totals
    latency_seconds: float | None


def calibrated(capacity: Capacity, seen: Totals, state: State, tuning: Tuning) -> Capacity:
    """Return the capacity with what was learned, and with the requests' present size and cache hits.

    What is measured is rounded: further digits are noise, and without them the model need not be solved anew.
    """
    enough = seen.answered >= tuning.latency_requests
    overhead = capacity.overhead_seconds if state.overhead_seconds is None else state.overhead_seconds
    return replace(
        capacity,
        correction=state.correction,
        overhead_seconds=_rounded(overhead),
        rows_per_request=_rounded(seen.rows_per_request) if enough else capacity.rows_per_request,
        cache_hit_ratio=min(HIT_RATIO_LIMIT, _rounded(seen.cache_hit_ratio)) if enough else capacity.cache_hit_ratio,
    )


def learn(now: float, capacity: Capacity, seen: Experience, state: State, tuning: Tuning) -> State:
    """Return the state with correction and overhead moved towards what was seen, as far as the time since allows."""
    if state.learned_at is None or not state.learned_at < now:
        return replace(state, learned_at=now)
    weight = 1 - math.exp((state.learned_at - now) / tuning.learning_seconds)
    overhead = _overhead(capacity, seen.totals, tuning)
    if overhead is not None:
        known = capacity.overhead_seconds if state.overhead_seconds is None else state.overhead_seconds
        overhead = known + weight * (overhead - known)
    shown = correction_shown(capacity, seen, tuning)
    # Bounded before it is weighed too: one absurd measurement must not count for more than a bad one.
    goal = state.correction if shown is None else min(GREATEST_CORRECTION, max(LEAST_CORRECTION, shown))
    return replace(
        state,
        learned_at=now,
        overhead_seconds=state.overhead_seconds if overhead is None else overhead,
        correction=state.correction + weight * (goal - state.correction),
    )


def correction_shown(capacity: Capacity, seen: Experience, tuning: Tuning) -> float | None:
    """Return the correction that the experience speaks for, or None when it tells nothing; not yet bounded."""
    model = replace(capacity, correction=1.0)
    modelled = sustainable_rate(model)
    rate = seen.totals.answered_per_replica
    if modelled == 0 or seen.totals.answered < tuning.latency_requests:
        return None
    load = rate / (modelled * capacity.correction)
    if seen.latency_seconds is None or load < _TELLING_LOAD:
        return _slowdown(capacity, seen.totals, tuning)
    expected = sustainable_rate(replace(model, objective_seconds=_rounded(seen.latency_seconds)))
    # Answers faster than any batch of the model: it errs, but by how much is only known once the rate is high.
    shown = rate / expected if expected > 0 else GREATEST_CORRECTION
    # Below saturation a quick answer proves the model right at most, never the replica better than it.
    return shown if load >= _PROVING_LOAD else min(shown, max(1.0, capacity.correction))


def _slowdown(capacity: Capacity, seen: Totals, tuning: Tuning) -> float | None:
    """Return the ratio of a batch's modelled time to its measured one where that lowers the correction."""
    if seen.batches < tuning.latency_requests or seen.busy_seconds <= 0:
        return None
    modelled = capacity.alpha_seconds + capacity.beta_seconds * seen.mean_batch
    # Batches are those of all processes, while the busy time is the mean of one.
    ratio = modelled * seen.batches / capacity.processes / seen.busy_seconds
    return ratio if ratio < capacity.correction else None


def _overhead(capacity: Capacity, seen: Totals, tuning: Tuning) -> float | None:
    """Return a request's processor seconds outside the session; None if unknown, or if idling would drown them."""
    busy_enough = seen.cpu_seconds >= _BUSY_PROCESSOR * seen.replica_seconds
    if capacity.threads is None or seen.requests < tuning.latency_requests or not busy_enough:
        return None
    return max(0.0, seen.cpu_seconds - capacity.threads * seen.busy_seconds) / seen.requests


def _rounded(value: float) -> float:
    """Return the value to three significant digits."""
    return float(f"{value:.3g}")
