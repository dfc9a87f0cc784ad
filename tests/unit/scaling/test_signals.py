"""Totals and quantiles of windows."""

import math
from dataclasses import replace

import pytest

from slipstream_operator.scaling.samples import ReplicaSample, Window
from slipstream_operator.scaling.signals import request_rates, totals
from slipstream_testing.traffic import EDGES, sample, steady


def counted(replica, *points, **fixed):
    return [ReplicaSample(replica, at, requests=requests, **fixed) for at, requests in points]


RATES = {
    "one replica": ([*counted("a", (0, 0), (10, 100))], 10.0),
    "two replicas add up": ([*counted("a", (0, 0), (10, 100)), *counted("b", (0, 5), (10, 55))], 15.0),
    "a replica that left counts for its time": (
        [*counted("a", (0, 0), (5, 100)), *counted("b", (0, 0), (10, 100))],
        20.0,
    ),
    "a step that began earlier counts in part": ([*counted("a", (-10, 0), (10, 200))], 10.0),
    "a reset counter tells nothing, and nothing negative": (
        [*counted("a", (0, 900), (4, 940), (6, 3), (10, 43))],
        8.0,
    ),
    "one sample tells nothing": ([*counted("a", (10, 500))], 0.0),
    "a successor's counter is no change of its predecessor's": (
        [*counted("a", (0, 0), (5, 500)), *counted("b", (10, 90000))],
        50.0,
    ),
}


@pytest.mark.parametrize("case", RATES)
def test_request_rate(case):
    samples, expected = RATES[case]
    window = Window().add(samples)
    assert totals(window, 0.0, window.end).request_rate == pytest.approx(expected)


IGNORED = {
    "NaN": {"requests": math.nan},
    "infinity": {"busy_seconds": math.inf},
    "a negative counter": {"rejected": -1.0},
    "a negative gauge": {"queued_rows": -1.0},
    "a NaN in the histogram": {"latency_counts": (math.nan,) * len(EDGES)},
    "a histogram without edges": {"latency_edges": ()},
    "a time that is none": {"at": math.nan},
    "a time before the last": {"at": 3.0},
    "the time of the last": {"at": 10.0},
}


@pytest.mark.parametrize("case", IGNORED)
def test_window_ignores(case):
    window = Window().add([sample("a", 9.0), sample("a", 10.0)])
    assert window.add([replace(sample("a", 11.0), **IGNORED[case])]) == window


def test_window_is_immutable_and_trimmed():
    old = Window(span_seconds=60).add([sample("a", 0.0), sample("b", 50.0), sample("a", 100.0)])
    new = old.trim(70.0)
    assert [list(series) for series in (old.series, new.series)] == [["a", "b"], ["b"]]
    assert new.newest("a") is None
    assert old.newest("a").at == 100.0
    assert (new.end, new.start, new.covered_seconds) == (50.0, None, 0.0)


def test_derived_figures():
    early = ReplicaSample("a", 0.0)
    late = ReplicaSample("a", 10.0, 110, 10, 200, 150, 30, 4.0, 6.0, 5, cache_hits=25, cache_misses=75)
    seen = totals(Window().add([early, late]), 0.0, 10.0)
    assert seen.rejected_share == pytest.approx(10 / 110)
    assert seen.answered_per_replica == pytest.approx(10)
    assert seen.rows_per_request == pytest.approx(2)
    assert seen.mean_batch == pytest.approx(5)
    assert seen.utilization == pytest.approx(0.4)
    assert seen.cache_hit_ratio == pytest.approx(0.25)


def test_nothing_seen_is_zero_everywhere():
    seen = totals(Window(), 0.0, 10.0)
    assert (seen.request_rate, seen.rejected_share, seen.mean_batch, seen.utilization, seen.cache_hit_ratio) == (0,) * 5
    assert seen.rows_per_request == 1
    assert seen.latency_quantile(0.99) is None
    assert request_rates(Window(), 10.0, 5.0) == ()


QUANTILES = {
    "linear within the bucket": ((0.01, 0.02, math.inf), (50, 100, 100), 0.75, 0.015),
    "the first bucket starts at zero": ((0.01, 0.02, math.inf), (100, 100, 100), 0.5, 0.005),
    "an empty bucket is passed over": ((0.01, 0.02, 0.03, math.inf), (50, 50, 100, 100), 0.75, 0.025),
    "beyond the edges the highest finite one": ((0.01, 0.02, math.inf), (10, 20, 100), 0.99, 0.02),
    "all of them": ((0.01, 0.02, math.inf), (50, 100, 100), 1.0, 0.02),
}


@pytest.mark.parametrize("case", QUANTILES)
def test_latency_quantile(case):
    edges, counts, quantile, expected = QUANTILES[case]
    before = ReplicaSample("a", 0.0, latency_edges=edges, latency_counts=(0.0,) * len(edges))
    after = ReplicaSample("a", 1.0, latency_edges=edges, latency_counts=tuple(map(float, counts)))
    assert totals(Window().add([before, after]), 0.0, 1.0).latency_quantile(quantile) == pytest.approx(expected)


def test_the_first_histogram_counts_from_zero_and_other_edges_do_not_count():
    first = ReplicaSample("a", 0.0)
    fresh = ReplicaSample("a", 1.0, latency_edges=(0.1, math.inf), latency_counts=(8.0, 8.0))
    other = ReplicaSample("b", 0.5, latency_edges=(0.2, math.inf), latency_counts=(0.0, 0.0))
    others = ReplicaSample("b", 0.9, latency_edges=(0.2, math.inf), latency_counts=(0.0, 99.0))
    assert totals(Window().add([first, fresh, other, others]), 0.0, 1.0).latencies == 8


def test_rates_per_interval_are_oldest_first_and_whole():
    window = Window().add(counted("a", (0, 0), (5, 50), (10, 250), (12, 250)))
    assert request_rates(window, 10.0, 5.0) == pytest.approx((10, 40))
    assert request_rates(window, 12.0, 5.0) == pytest.approx((6 + 16, 24))


def test_a_steady_window_is_steady():
    rates = request_rates(steady(["a", "b"], 60, rate=100), 60.0, 5.0)
    assert rates == pytest.approx((200,) * 12)
