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
    Three quantiles, each None when too few answers make it: `latency` of the last `latency_seconds` or, if they hold
    too few, of three times as long; `latency_recent` of the former only; `latency_now` of the last few seconds, which
    tells lateness that goes on from what is over (as the Google SRE workbook's short window beside the long one).
    `rejected` is how many requests were refused lately, `rejected_share` their share in the short window.
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
    latency_recent: float | None
    latency_now: float | None


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
    lately = _latency(working, end - tuning.latency_seconds, end, percentile, tuning)
    longer = _latency(working, end - 3 * tuning.latency_seconds, end, percentile, tuning)
    just_now = _latency(working, end - tuning.violation_seconds, end, percentile, tuning)
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
        latency=longer if lately is None else lately,
        latency_recent=lately,
        latency_now=lately if just_now is None else just_now,
    )


def _is_warm(now: float, replica: Replica, policy: Policy) -> bool:
    return replica.ready and now - replica.started_at >= policy.start_seconds + policy.tuning.cold_seconds


def _latency(window: Window, start: float, end: float, percentile: float, tuning: Tuning) -> float | None:
    seen = totals(window, start, end)
    return seen.latency_quantile(percentile / 100) if seen.latencies >= tuning.latency_requests else None


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
