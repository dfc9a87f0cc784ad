"""The time constants and thresholds of scaling, in one place, so that a laptop can be quicker than a cluster."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """How long to look, and how sure to be; all times in seconds.

    Attributes:
        window_seconds: samples older than this are forgotten.
        interval_seconds: the demand is cut into intervals of this length; at least two scrapes long.
        demand_seconds: the upper quantile of the demand is taken over this last part of the window.
        demand_quantile: that quantile, over intervals.
        growth_limit: a forecast never exceeds the present demand by more than this factor.
        short_seconds: the quick look at the demand, for panic (Knative's KPA: a tenth of its 60 s window).
        panic_ratio: short-window demand over the capacity at hand that starts a panic (KPA: 200 %).
        panic_rejected_share: share of requests refused in the short window that starts a panic.
        panic_seconds: a panic lasts this long after its last cause; nothing is scaled in meanwhile.
        latency_seconds: the latency quantile is taken over this time, or over three times as much if needed.
        latency_requests: answers below which a latency quantile is not believed.
        violation_seconds: the quantile must be above the objective this long before a replica is added for it, and
            be so over the last this many seconds too.
        busy_utilization: replicas below this share of their time (or of their planned rate) are not the cause.
        stale_seconds: a ready replica not heard of for this long has no metrics.
        minimum_seconds: the window must cover this much before anything is judged, notably after a restart.
        cold_seconds: a replica's latency does not count until it has been ready to work for this long.
        scale_in_margin: replicas are removed only if the rest would hold this share more than the demand.
        drain_seconds: a backlog counts as the extra demand that empties it in this time.
        room_seconds: a new replica without a place for this long is taken to find none.
        overload_seconds: the most replicas must be overloaded this long before a faster variant stands in.
        calm_seconds: the preferred variant must suit the load this long before it returns.
        learning_seconds: time constant of what is learned (correction, overhead) while the service runs.
    """

    window_seconds: float = 120.0
    interval_seconds: float = 5.0
    demand_seconds: float = 30.0
    demand_quantile: float = 0.9
    growth_limit: float = 2.0
    short_seconds: float = 6.0
    panic_ratio: float = 2.0
    panic_rejected_share: float = 0.05
    panic_seconds: float = 30.0
    latency_seconds: float = 10.0
    latency_requests: int = 50
    violation_seconds: float = 5.0
    busy_utilization: float = 0.5
    stale_seconds: float = 10.0
    minimum_seconds: float = 10.0
    cold_seconds: float = 10.0
    scale_in_margin: float = 0.1
    drain_seconds: float = 10.0
    room_seconds: float = 30.0
    overload_seconds: float = 10.0
    calm_seconds: float = 120.0
    learning_seconds: float = 60.0


FAST = Tuning(
    window_seconds=60,
    interval_seconds=2,
    demand_seconds=8,
    short_seconds=3,
    panic_seconds=8,
    latency_seconds=4,
    violation_seconds=2,
    stale_seconds=5,
    minimum_seconds=4,
    cold_seconds=2,
    drain_seconds=4,
    room_seconds=5,
    overload_seconds=3,
    calm_seconds=15,
    learning_seconds=20,
)
"""For replicas that start in a second or two, as on a laptop or with cached images: look less far back."""
