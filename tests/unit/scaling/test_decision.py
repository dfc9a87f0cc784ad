"""Decisions, case by case, and the sentence each one gives."""

from dataclasses import replace

import pytest

from slipstream_contract import codec
from slipstream_operator.scaling.decision import decide
from slipstream_operator.scaling.model import Policy, Replica, State
from slipstream_operator.scaling.policy import Behavior, Recommendation, Rules, ScalingPolicy
from slipstream_operator.scaling.samples import Window
from slipstream_testing.traffic import CAPACITY, sample, steady

NOW = 1000.0
DOWN = Rules((ScalingPolicy("Percent", 100, 15),), stabilization_window_seconds=60)
POLICY = Policy(1, 8, start_seconds=4.0, behavior=Behavior(scale_down=DOWN))


def ready(count, started_at=0.0):
    return tuple(Replica(f"r{index}", True, started_at) for index in range(count))


def starting(count):
    return tuple(Replica(f"new{index}", False, NOW - 2) for index in range(count))


def settled(current):
    """Return the state of a deployment that has needed few replicas for long enough."""
    return State(recommendations=(Recommendation(NOW - 1, 1),), replicas=current)


def under(count, rate, until=NOW, **numbers):
    return steady([f"r{index}" for index in range(count)], until, rate=rate, **numbers)


LATE = replace(settled(3), violated_since=NOW - 30)
PANIC = replace(settled(3), panic_until=NOW + 20)

# sentence: (window, replicas, current, state, changes of the policy), expected count, part of the reason
CASES = {
    "the demand needs more": (
        (under(2, 700), ready(2), 2, settled(2), {}),
        3,
        "2 -> 3: 1,400 requests/s (forecast 1,400 in 4 s) need 3 replicas at 567 requests/s each within p99 <= 50 ms",
    ),
    "the demand needs as many": ((under(3, 450), ready(3), 3, settled(3), {}), 3, "holding 3: 1,350 requests/s"),
    "the demand needs fewer": ((under(3, 150), ready(3), 3, settled(3), {}), 1, "3 -> 1: 450 requests/s"),
    "fewer would do without margin": (
        (under(3, 370), ready(3), 3, settled(3), {}),
        3,
        "one fewer would leave less than 10 % to spare",
    ),
    "more are needed but within the tolerance": ((under(2, 600), ready(2), 2, settled(2), {}), 2, "holding 2"),
    "no load goes to the minimum": ((under(3, 0), ready(3), 3, settled(3), {"min_replicas": 2}), 2, "the minimum is 2"),
    "scaling in waits for its window": (
        (under(3, 150), ready(3), 3, State(replicas=3, recommendations=(Recommendation(NOW - 18, 3),)), {}),
        3,
        "scaling in to 1 in 42 s if nothing more comes",
    ),
    "scaling out goes no faster than allowed": (
        (under(1, 2900), ready(1), 1, settled(1), {}),
        5,
        "the rate allowed by the behavior stops at 5",
    ),
    "overloaded at the maximum": (
        (under(3, 900), ready(3), 3, settled(3), {"max_replicas": 3}),
        3,
        "need 5 replicas at 567 requests/s each within p99 <= 50 ms; overloaded at the maximum of 3",
    ),
    "below a raised minimum": ((Window(), (), 1, State(), {"min_replicas": 2}), 2, "1 -> 2: the minimum is 2"),
    "above a lowered maximum": ((Window(), (), 9, State(), {}), 8, "9 -> 8: the maximum is 8"),
    "nothing ready yet": ((Window(), starting(2), 2, State(), {}), 2, "holding 2: no replica is ready yet, 2 starting"),
    "never any metrics": ((Window(), ready(2), 2, State(), {}), 2, "holding 2: no metrics yet"),
    "metrics gone stale": ((under(3, 10, NOW - 12), ready(3), 3, settled(3), {}), 3, "holding 3: no metrics for 12 s"),
    "metrics gone from the window": (
        (Window(), ready(3), 3, replace(settled(3), data_at=NOW - 300), {}),
        3,
        "holding 3: no metrics for 300 s",
    ),
    "too little seen after a restart": (
        (Window().add(s for q in under(3, 10).series.values() for s in q[-5:]), ready(3), 3, State(), {}),
        3,
        "holding 3: metrics cover 4 s so far, 10 s are needed",
    ),
    "a restart with enough metrics still waits": (
        (under(3, 10), ready(3), 3, State(), {}),
        3,
        "scaling in to 1 in 60 s",
    ),
    "one ready replica is silent": (
        (under(2, 10), ready(3), 3, settled(3), {}),
        3,
        "not scaling in without metrics from 1 of 3 ready replicas",
    ),
    "a surge is not long over": ((under(3, 10), ready(3), 3, PANIC, {}), 3, "not scaling in for 20 s after a surge"),
    "late while busy": (
        (under(3, 420, latency=0.08), ready(3), 3, LATE, {}),
        6,
        "3 -> 6: 100 ms at p99 is above 50 ms with 3 replicas 84 % busy, which asks for 6",
    ),
    "late, and help is starting": (
        (under(3, 420, latency=0.08), (*ready(3), *starting(3)), 6, replace(LATE, replicas=6), {}),
        6,
        "holding 6: 100 ms at p99 is above 50 ms with 3 replicas 84 % busy, which asks for 6; 3 replicas starting",
    ),
    "late for a moment": ((under(3, 420, latency=0.08), ready(3), 3, settled(3), {}), 3, "holding 3"),
    "late while idle": (
        (under(3, 20, latency=0.08), ready(3), 3, LATE, {}),
        3,
        "not scaling in while p99 is 100 ms",
    ),
    "late only where replicas are cold": (
        (under(3, 420, latency=0.08), ready(3, NOW - 9), 3, LATE, {}),
        3,
        "holding 3",
    ),
    "a backlog counts as demand": ((under(2, 500, queued_rows=4000.0), ready(2), 2, settled(2), {}), 4, "2 -> 4"),
    "starting replicas are not ordered again": (
        (under(2, 700), (*ready(2), *starting(1)), 3, settled(3), {}),
        3,
        "holding 3: 1,400 requests/s (forecast 1,400 in 4 s) need 3 replicas",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_decision(case):
    (window, replicas, current, state, changes), expected, reason = CASES[case]
    decision, _ = decide(NOW, window, CAPACITY, replace(POLICY, **changes), replicas, current, state)
    assert decision.replicas == expected, decision.reason
    assert reason in decision.reason


def test_a_replica_that_is_not_ready_proves_no_lateness():
    window = under(3, 420).add(sample("r3", NOW - back, 420, 0.08) for back in range(40, -1, -1))
    unready = Replica("r3", False, 0.0)
    decision, _ = decide(NOW, window, CAPACITY, POLICY, (*ready(3), unready), 4, replace(LATE, replicas=4))
    assert decision.evidence.latency_seconds == pytest.approx(0.01, rel=0.1)
    assert not decision.evidence.violated


def test_rejections_forbid_scaling_in():
    window = under(3, 10)
    last = window.newest("r0")
    rejecting = window.add([replace(last, at=NOW + 1, requests=last.requests + 10, rejected=1.0)])
    decision, state = decide(NOW + 1, rejecting, CAPACITY, POLICY, ready(3), 3, settled(3))
    assert decision.replicas == 3
    assert "not scaling in" in decision.reason
    assert decision.evidence.rejected_share > 0
    later = rejecting.add([replace(last, at=NOW + 2, requests=last.requests + 20, rejected=9.0)])
    decision, state = decide(NOW + 2, later, CAPACITY, POLICY, ready(3), 3, state)
    assert decision.evidence.panicking, "many rejections are a panic"
    assert state.panic_until == NOW + 2 + POLICY.tuning.panic_seconds


def test_an_objective_nothing_can_hold_is_said_and_load_is_scaled_for_all_the_same():
    hopeless = replace(CAPACITY, objective_seconds=0.004)
    decision, _ = decide(NOW, under(2, 800, latency=0.03), hopeless, POLICY, ready(2), 2, LATE)
    assert decision.replicas == 3
    assert "no number of replicas holds p99 <= 4 ms, as one request alone takes 5 ms" in decision.reason
    assert not decision.evidence.attainable


def test_lateness_that_replicas_do_not_cause_is_said():
    decision, _ = decide(NOW, under(1, 60, latency=0.08), CAPACITY, POLICY, ready(1), 1, replace(LATE, replicas=1))
    assert decision.replicas == 1
    assert "p99 is 100 ms although the replicas are only 12 % busy" in decision.reason


def test_a_liar_cannot_order_more_than_the_maximum():
    lie = Window().add([*under(1, 10).series["r0"], replace(under(1, 10).newest("r0"), at=NOW + 1, requests=1e300)])
    decision, _ = decide(NOW + 1, lie, CAPACITY, POLICY, ready(1), 1, settled(1))
    assert decision.replicas == 5
    assert decision.evidence.needed <= 1_000_000


def test_a_sudden_surge_is_a_panic():
    calm = under(1, 100)
    last = calm.newest("r0")
    surge = calm.add(replace(last, at=NOW + step, requests=last.requests + 3000 * step) for step in (1, 2, 3, 4, 5, 6))
    decision, _ = decide(NOW + 6, surge, CAPACITY, POLICY, ready(1), 1, settled(1))
    assert decision.evidence.panicking


def test_state_survives_json():
    _, state = decide(NOW, under(3, 420, latency=0.08), CAPACITY, POLICY, ready(3), 3, LATE)
    _, state = decide(NOW + 1, under(3, 420, NOW + 1), CAPACITY, POLICY, ready(3), 6, state)
    assert state.events[-1].change == 3
    assert codec.decode_json(State, codec.canonical_json(state), "state") == state
