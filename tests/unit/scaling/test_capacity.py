"""The capacity model against a simulation of the batches it stands for, and what is learned of its errors."""

import random
from dataclasses import replace

import pytest

from slipstream_operator.scaling.capacity import Capacity, sustainable_rate, throughput
from slipstream_operator.scaling.learning import Experience, calibrated, correction_shown, learn
from slipstream_operator.scaling.model import State
from slipstream_operator.scaling.samples import Window
from slipstream_operator.scaling.signals import totals
from slipstream_operator.scaling.tuning import Tuning
from slipstream_testing.traffic import CAPACITY, sample

TUNING = Tuning()


def simulated_quantile(capacity, rate, requests=20_000):
    """Return the latency quantile of a work-conserving batch server under Poisson arrivals."""
    source, clock, arrivals = random.Random(1), 0.0, []
    for _ in range(requests):
        clock += source.expovariate(rate)
        arrivals.append(clock)
    latencies, first, free = [], 0, 0.0
    while first < requests:
        start, last = max(free, arrivals[first]), first
        while last < requests and arrivals[last] <= start and last - first < capacity.batch_requests:
            last += 1
        free = start + capacity.seconds(last - first)
        latencies.extend(free - arrival for arrival in arrivals[first:last])
        first = last
    return sorted(latencies)[int(requests * capacity.percentile / 100)]


MODELS = {
    "batching pays": Capacity(0.010, 0.0001, 64, 99, 0.05),
    "overhead counts": Capacity(0.001, 0.00005, 64, 99, 0.05, overhead_seconds=0.0001),
    "rows cost most": Capacity(0.005, 0.002, 24, 99, 0.05),
    "no batching": Capacity(0.001, 0.001, 1, 99, 0.02),
    "a soft percentile": Capacity(0.010, 0.010, 8, 95, 0.1),
    "a tight objective": Capacity(0.020, 0.0001, 16, 99, 0.045),
    "a loose objective": Capacity(0.004, 0.001, 16, 99, 1.0),
}


@pytest.mark.parametrize("case", MODELS)
def test_the_planned_rate_holds_and_is_not_far_from_what_would_break(case):
    capacity = MODELS[case]
    rate = sustainable_rate(capacity)
    assert simulated_quantile(capacity, 0.85 * rate) <= capacity.objective_seconds
    assert simulated_quantile(capacity, 1.35 * rate) > capacity.objective_seconds


def test_no_rate_holds_when_one_request_alone_is_late():
    assert sustainable_rate(Capacity(0.05, 0.001, 8, 99, 0.05)) == 0
    assert throughput(Capacity(0.05, 0.001, 8, 99, 0.05)) == pytest.approx(8 / 0.058)


def test_requests_of_many_rows_count_as_such():
    plain = Capacity(0.01, 0.001, 64, 99, 1.0)
    assert throughput(replace(plain, rows_per_request=4)) == pytest.approx(16 / 0.074)
    assert throughput(replace(plain, rows_per_request=100)) == pytest.approx(1 / 0.12), "split over two batches"


def test_cache_hits_cost_their_overhead_alone():
    plain = Capacity(0.0, 0.001, 1, 99, 1.0)
    assert throughput(replace(plain, cache_hit_ratio=0.5)) == pytest.approx(2000)
    assert throughput(replace(plain, cache_hit_ratio=0.5, overhead_seconds=0.001)) == pytest.approx(2 / 0.003)


def test_the_correction_scales_the_rate():
    assert sustainable_rate(replace(CAPACITY, correction=0.5)) == pytest.approx(sustainable_rate(CAPACITY) / 2)


def experience(rate, latency, **changes):
    end = sample("a", 10.0, rate=rate, **changes)
    return Experience(totals(Window().add([sample("a", 0.0, rate=rate), end]), 0.0, 10.0), latency)


HOLDS = sustainable_rate(CAPACITY)

SHOWN = {
    "what the model expects confirms it": (HOLDS, 0.05, 1.0, 1.0),
    "late at half the rate: half the capacity": (0.5 * HOLDS, 0.05, 1.0, 0.5),
    "holding more than the model thought": (1.2 * HOLDS, 0.05, 1.0, 1.2),
    "quick at a medium load proves no more than the model": (0.7 * HOLDS, 0.012, 1.0, 1.0),
    "quick at a medium load lifts a low correction": (0.3 * HOLDS, 0.012, 0.5, 1.0),
    "a light load says nothing": (0.2 * HOLDS, 0.05, 1.0, None),
    "without a quantile nothing": (0.8 * HOLDS, None, 1.0, None),
}


@pytest.mark.parametrize("case", SHOWN)
def test_experience_shows_the_correction(case):
    rate, latency, correction, expected = SHOWN[case]
    shown = correction_shown(replace(CAPACITY, correction=correction), experience(rate, latency), TUNING)
    assert shown == (None if expected is None else pytest.approx(expected, rel=0.02))


def test_slow_batches_lower_the_correction_long_before_saturation():
    slow = experience(50.0, 0.02, busy_seconds=500 / 4 * 0.016)
    assert correction_shown(CAPACITY, slow, TUNING) == pytest.approx(0.5)


def test_few_requests_teach_nothing():
    assert correction_shown(CAPACITY, experience(4.0, 9.0), TUNING) is None


def test_learning_is_slow_and_bounded():
    state, seen = State(), experience(0.1 * HOLDS, 0.05, busy_seconds=10.0)
    state = learn(0.0, CAPACITY, seen, state, TUNING)
    assert (state.correction, state.learned_at) == (1.0, 0.0), "the first look only starts the clock"
    once = learn(1.0, CAPACITY, seen, state, TUNING)
    assert 0.98 < once.correction < 1.0
    assert learn(0.5, CAPACITY, seen, once, TUNING).correction == once.correction, "a clock that went back"
    for now in range(60, 6000, 60):
        state = learn(float(now), replace(CAPACITY, correction=state.correction), seen, state, TUNING)
    assert state.correction == pytest.approx(0.25)


def test_overhead_is_learned_where_threads_are_known_and_the_processor_is_busy():
    capacity, start = replace(CAPACITY, threads=2), State(learned_at=0.0)
    busy = experience(500.0, None, busy_seconds=2.0, cpu_seconds=9.0)
    learned = learn(1e6, capacity, busy, start, TUNING)
    assert learned.overhead_seconds == pytest.approx((9.0 - 2 * 2.0) / 5000)
    assert calibrated(capacity, busy.totals, learned, TUNING).overhead_seconds == learned.overhead_seconds
    assert learn(1e6, CAPACITY, busy, start, TUNING).overhead_seconds is None, "threads unknown"
    idle = experience(500.0, None, busy_seconds=0.1, cpu_seconds=1.0)
    assert learn(1e6, capacity, idle, start, TUNING).overhead_seconds is None, "idling"


def test_calibration_takes_the_present_rows_and_cache_hits():
    seen = experience(500.0, None, rows=15_000.0, cache_hits=990.0, cache_misses=10.0).totals
    known = calibrated(CAPACITY, seen, State(correction=0.7), TUNING)
    assert (known.rows_per_request, known.cache_hit_ratio, known.correction) == (pytest.approx(3), 0.9, 0.7)
    few = calibrated(CAPACITY, experience(1.0, None, rows=900.0).totals, State(), TUNING)
    assert few.rows_per_request == 1
