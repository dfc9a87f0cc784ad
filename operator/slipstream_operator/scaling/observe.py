"""Gathers what a decision needs from the window, once, so that the judging below it is plain comparisons.

Demand is counted over all replicas, for traffic is traffic wherever it went; latency, utilisation and what is learned
only over warm ones, as a replica that has just started is slow for reasons no further replica would mend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from slipstream_operator.scaling.forecast import forecast
from slipstream_operator.scaling.model import Policy, Replica
from slipstream_operator.scaling.samples import Window
from slipstream_operator.scaling.signals import Totals, request_rates, totals
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Observation:
    """The replicas and their last seconds; rates in requests per second, times in seconds.

    `reporting` counts the ready replicas with fresh metrics, `newest_at` is when any ready one was last heard of.
    `latency_recent` says that the quantile is of the last `latency_seconds` and not of a longer time. `rejected` is
    how many requests were refused in that time, `rejected_share` their share in the short window.
    """

    ready: int
    warm: int
    starting: int
    reporting: int
    newest_at: float | None
    covered_seconds: float
    demand: float
    short_demand: float
    forecast: float
    queued_rows: float
    rejected: float
    rejected_share: float
    recent: Totals
    latency: float | None
    latency_recent: bool


def observe(now: float, window: Window, replicas: Sequence[Replica], policy: Policy, percentile: float) -> Observation:
    """Return what the window and the replicas show at the time `now` (seconds)."""
    tuning = policy.tuning
    seen = window.trim(now)
    end = seen.end if seen.end is not None else now
    ready = [replica.uid for replica in replicas if replica.ready]
    newest = [sample for uid in ready if (sample := seen.newest(uid)) is not None]
    warm = [replica.uid for replica in replicas if _is_warm(now, replica, policy)]
    recent = totals(seen, end - tuning.latency_seconds, end)
    short = totals(seen, end - tuning.short_seconds, end)
    working = seen.only(warm)
    latency, latency_recent = _latency(working, end, percentile, tuning)
    return Observation(
        ready=len(ready),
        warm=len(warm),
        starting=len(replicas) - len(ready),
        reporting=sum(now - sample.at <= tuning.stale_seconds for sample in newest),
        newest_at=max((sample.at for sample in newest), default=None),
        covered_seconds=seen.covered_seconds,
        demand=recent.request_rate,
        short_demand=short.request_rate,
        forecast=_forecast(seen, end, policy),
        queued_rows=sum(sample.queued_rows for sample in newest),
        rejected=recent.rejected,
        rejected_share=short.rejected_share,
        recent=totals(working, end - tuning.latency_seconds, end),
        latency=latency,
        latency_recent=latency_recent,
    )


def _is_warm(now: float, replica: Replica, policy: Policy) -> bool:
    return replica.ready and now - replica.started_at >= policy.start_seconds + policy.tuning.cold_seconds


def _latency(window: Window, end: float, percentile: float, tuning: Tuning) -> tuple[float | None, bool]:
    """Return the latency quantile of the shortest time that holds enough answers, and whether that is the recent."""
    for times in (1, 3):
        seen = totals(window, end - times * tuning.latency_seconds, end)
        if seen.latencies >= tuning.latency_requests:
            return seen.latency_quantile(percentile / 100), times == 1
    return None, False


def _forecast(window: Window, end: float, policy: Policy) -> float:
    tuning = policy.tuning
    return forecast(
        request_rates(window, end, tuning.interval_seconds),
        tuning.interval_seconds,
        policy.start_seconds,
        tuning.demand_quantile,
        max(1, round(tuning.demand_seconds / tuning.interval_seconds)),
        tuning.growth_limit,
    )
