"""What must hold of every scaling decision, whatever the replicas report."""

import math
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream_operator.scaling.capacity import Capacity, sustainable_rate
from slipstream_operator.scaling.decision import decide
from slipstream_operator.scaling.exposition import ExpositionError, parse
from slipstream_operator.scaling.model import Policy, Replica, State
from slipstream_operator.scaling.policy import Behavior, Recommendation, Rules, ScaleEvent, ScalingPolicy, limit_rate
from slipstream_operator.scaling.samples import ReplicaSample, Window
from slipstream_operator.scaling.signals import request_rates, totals
from slipstream_testing.traffic import CAPACITY, EDGES, World, direction_changes, steady

UNHURRIED = settings(deadline=None)
"""A shared machine may be slow for reasons of its own."""

STABILISATION = 60.0
DOWN = Rules((ScalingPolicy("Percent", 100, 15),), stabilization_window_seconds=STABILISATION)
POLICY = Policy(1, 10, start_seconds=4.0, behavior=Behavior(scale_down=DOWN))
NOW = 100.0

any_number = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1e4), st.sampled_from([0.0, -1.0, 1e300])
)
counts = st.floats(0, 1e6)


@st.composite
def samples(draw, number=counts):
    """Samples of a few replicas at any time, with counters that may go back, and hostile ones if `number` is."""
    edges = draw(st.sampled_from([(), EDGES, (0.1, math.inf)]))
    numbers = {
        name: draw(number) for name in ("requests", "rejected", "rows", "batches", "busy_seconds", "queued_rows")
    }
    histogram = tuple(sorted(draw(counts) for _ in edges))
    return ReplicaSample(
        draw(st.sampled_from(["r0", "r1", "r2"])),
        draw(st.floats(0, NOW + 10)),
        latency_edges=edges,
        latency_counts=histogram,
        **numbers,
    )


windows = st.lists(samples(any_number), max_size=30).map(
    lambda found: Window().add(sorted(found, key=lambda sample: sample.at))
)
replica_sets = st.lists(st.booleans(), max_size=4).map(
    lambda ready: tuple(Replica(f"r{index}", is_ready, 0.0) for index, is_ready in enumerate(ready))
)
optional_times = st.none() | st.floats(0, 2 * NOW)
states = st.builds(
    State,
    recommendations=st.lists(st.builds(Recommendation, st.floats(0, 2 * NOW), st.integers(0, 20)), max_size=4).map(
        tuple
    ),
    events=st.lists(st.builds(ScaleEvent, st.floats(0, 2 * NOW), st.integers(-9, 9)), max_size=4).map(tuple),
    replicas=st.none() | st.integers(0, 20),
    correction=st.floats(0.25, 1.5),
    learned_at=optional_times,
    violated_since=optional_times,
    panic_until=optional_times,
    data_at=optional_times,
)


@UNHURRIED
@given(windows, replica_sets, st.integers(0, 20), states)
def test_a_decision_is_within_bounds_explained_and_the_same_again(window, replicas, current, state):
    policy = replace(POLICY, min_replicas=2, max_replicas=7)
    decision, after = decide(NOW, window, CAPACITY, policy, replicas, current, state)
    assert 2 <= decision.replicas <= 7
    assert decision.reason.startswith(("holding", f"{current} -> {decision.replicas}"))
    assert (decision, after) == decide(NOW, window, CAPACITY, policy, replicas, current, state)


@UNHURRIED
@given(st.lists(samples(), max_size=30), replica_sets, st.integers(1, 10), states)
def test_missing_metrics_never_shrink(found, replicas, current, state):
    """No sample of the last ten seconds from at least one ready replica: hold or grow."""
    found = [replace(sample, at=sample.at * 0.8) for sample in found]
    window = Window().add(sorted(found, key=lambda sample: sample.at))
    stale = (*replicas, Replica("silent", True, 0.0))
    assert decide(NOW, window, CAPACITY, POLICY, stale, current, state)[0].replicas >= current


@UNHURRIED
@given(st.floats(0, 3000), st.floats(0, 3000), st.integers(1, 10))
def test_more_demand_never_gets_fewer_replicas(one, other, current):
    low, high = sorted((one, other))
    replicas = tuple(Replica(f"r{index}", True, 0.0) for index in range(2))
    state = State(replicas=current)
    few, many = (
        decide(NOW, steady(["r0", "r1"], NOW, rate=rate), CAPACITY, POLICY, replicas, current, state)[0]
        for rate in (low, high)
    )
    assert few.replicas <= many.replicas


@UNHURRIED
@given(st.lists(samples(), min_size=1, max_size=40))
def test_counters_that_go_back_never_make_a_negative_rate(found):
    window = Window().add(sorted(found, key=lambda sample: sample.at))
    seen = totals(window, 0.0, NOW)
    assert seen.request_rate >= 0
    assert 0 <= seen.rejected_share <= 1
    assert 0 <= seen.utilization <= 1
    assert all(rate >= 0 for rate in request_rates(window, NOW, 5.0))
    assert seen.latency_quantile(0.99) is None or 0 <= seen.latency_quantile(0.99) < math.inf


@UNHURRIED
@given(st.integers(5, 55), st.floats(10, 500))
def test_a_restarted_process_loses_one_step_of_one_replica_and_no_more(restart, rate):
    plain = steady(["r0", "r1", "r2"], NOW, rate=rate)
    lost = plain.series["r0"][restart].requests
    restarted = [
        replace(sample, requests=sample.requests - lost) if index > restart else sample
        for index, sample in enumerate(plain.series["r0"])
    ]
    reset = plain.only(["r1", "r2"]).add(restarted)
    replicas = tuple(Replica(f"r{index}", True, 0.0) for index in range(3))
    whole, less = (
        decide(NOW, window, CAPACITY, POLICY, replicas, 3, State(replicas=3))[0].evidence.forecast
        for window in (plain, reset)
    )
    assert (1 - 1 / 15) * whole <= less <= (1 + 1 / 15) * whole, "a fifth of an interval of a third of the load"


capacities = st.builds(
    Capacity,
    alpha_seconds=st.floats(1e-4, 0.05),
    beta_seconds=st.floats(1e-6, 0.01),
    max_batch=st.sampled_from([1, 2, 8, 32, 64]),
    percentile=st.sampled_from([50.0, 90.0, 95.0, 99.0]),
    objective_seconds=st.floats(0.005, 0.5),
    overhead_seconds=st.floats(0, 0.001),
)

NEARLY = 1.05
"""Where a slower batch lowers the bound of batches that fit the objective, smaller ones may hold a bit more."""


@settings(UNHURRIED, max_examples=50)
@given(capacities, st.sampled_from(["alpha_seconds", "beta_seconds", "overhead_seconds"]), st.floats(1.0, 3.0))
def test_a_slower_replica_holds_less(capacity, what, factor):
    slower = replace(capacity, **{what: getattr(capacity, what) * factor})
    assert sustainable_rate(slower) <= NEARLY * sustainable_rate(capacity)


@settings(UNHURRIED, max_examples=50)
@given(capacities, st.floats(1.0, 3.0))
def test_a_looser_objective_holds_more_and_never_beyond_full_batches(capacity, factor):
    looser = replace(capacity, objective_seconds=capacity.objective_seconds * factor)
    assert sustainable_rate(capacity) <= NEARLY * sustainable_rate(looser)
    assert sustainable_rate(looser) <= capacity.max_batch / capacity.seconds(capacity.max_batch)


@UNHURRIED
@given(capacities)
def test_only_an_impossible_objective_holds_nothing(capacity):
    assert (sustainable_rate(capacity) == 0) == (capacity.seconds(1) > capacity.objective_seconds)


changes = st.lists(st.builds(ScaleEvent, st.floats(0, NOW), st.integers(-9, 9)), max_size=5).map(tuple)


@UNHURRIED
@given(st.integers(0, 100), st.integers(0, 100), changes)
def test_the_rate_limit_lies_between_the_present_and_the_desired(current, desired, events):
    limited = limit_rate(NOW, current, desired, events, Behavior())
    assert min(current, desired) <= limited <= max(current, desired)


@UNHURRIED
@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["slipstream_rows_total", "{", "}", 'a="b"', " ", "1", "\n", "-"])).map("".join)
)
def test_any_text_is_a_sample_or_an_exposition_error(text):
    with suppress(ExpositionError):
        assert parse("slipstream_session_busy_seconds_total 1\n" + text, "r0", 1.0).usable


@settings(UNHURRIED, max_examples=10)
@given(st.floats(20, 5000), st.integers(0, 10**6), st.integers(1, 10))
def test_steady_poisson_load_turns_at_most_once_per_stabilisation_window(load, seed, replicas):
    turns = direction_changes(World(POLICY, lambda _: load, seed=seed).run(300, replicas))
    assert all(later - earlier >= STABILISATION for earlier, later in pairwise(turns))
    assert len(turns) <= 2


@settings(UNHURRIED, max_examples=10)
@given(st.lists(st.floats(0, 6000), min_size=8, max_size=8), st.integers(0, 10**6))
def test_any_load_turns_at_most_once_per_stabilisation_window(loads, seed):
    moments = World(POLICY, lambda now: loads[int(now) // 40], seed=seed).run(320)
    turns = direction_changes(moments)
    inward = [turn for turn in turns if moments[int(turn)].decision.replicas < moments[int(turn)].ordered]
    assert all(later - earlier >= STABILISATION for earlier, later in pairwise(inward))


@pytest.mark.parametrize("gap", [(50, 200), (0, 300)])
def test_an_outage_of_metrics_holds_the_count(gap):
    first, last = gap
    world = World(POLICY, lambda now: 1500 if now < 60 else 10, silent=lambda now: first <= now < last)
    moments = world.run(300, 3)
    assert {moment.decision.replicas for moment in moments[first:last]} == {3}
