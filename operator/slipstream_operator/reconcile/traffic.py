"""What the replicas' samples say about the last seconds, as the status and the conditions tell it."""

from collections import Counter
from dataclasses import dataclass

from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.scaling.samples import Window
from slipstream_operator.scaling.signals import Totals, totals
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Traffic:
    """Figures over the tuning's `demand_seconds`; a None was not observed.

    `quantile_seconds` is the objective's percentile; `fresh` counts ready replicas with a sample that is not stale;
    `utilization` is the share of its time that a replica's session or, if that is more, its process was busy;
    `variants` are those that answer, each with the number of replicas that say so.
    """

    fresh: int = 0
    requests_per_second: float = 0.0
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    quantile_seconds: float | None = None
    utilization: float = 0.0
    mean_batch: float | None = None
    cache_hit_ratio: float | None = None
    variants: tuple[tuple[str, int], ...] = ()


def traffic_of(window: Window, observation: Observation, tuning: Tuning, now: float) -> Traffic:
    """Return the traffic that the ready replicas reported lately."""
    ready = [replica.uid for replica in observation.replicas if replica.ready]
    newest = [window.newest(uid) for uid in ready]
    fresh = sum(sample is not None and now - sample.at <= tuning.stale_seconds for sample in newest)
    seen = totals(window, now - tuning.demand_seconds, now)
    return Traffic(
        fresh=fresh,
        requests_per_second=seen.request_rate,
        p50_seconds=seen.latency_quantile(0.5),
        p99_seconds=seen.latency_quantile(0.99),
        quantile_seconds=seen.latency_quantile(observation.spec.objective.percentile / 100),
        utilization=utilization(seen, observation.spec.serving.threads),
        mean_batch=seen.mean_batch if seen.batches else None,
        cache_hit_ratio=seen.cache_hit_ratio if seen.cache_hits + seen.cache_misses else None,
        variants=tuple(sorted(Counter(sample.variant for sample in newest if sample and sample.variant).items())),
    )


def utilization(seen: Totals, threads: int) -> float:
    """Return the share of its time, 0 to 1, that a replica's session or process was busy, whichever is more.

    A small model's session idles while the processor decodes and encodes, so neither alone tells how full a replica is.
    """
    if not seen.replica_seconds:
        return 0.0
    return min(1.0, max(seen.busy_seconds, seen.cpu_seconds / threads) / seen.replica_seconds)
