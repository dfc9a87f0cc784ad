"""The decisions closed over a fluid model of replicas that take four seconds to start."""

from dataclasses import replace

import pytest

from slipstream_operator.scaling.model import Policy
from slipstream_operator.scaling.policy import Behavior, Rules, ScalingPolicy
from slipstream_testing.traffic import CAPACITY, World, direction_changes

DOWN = Rules((ScalingPolicy("Percent", 100, 15),), stabilization_window_seconds=60)
POLICY = Policy(1, 10, start_seconds=4.0, behavior=Behavior(scale_down=DOWN))


def late(moments):
    return [moment.at for moment in moments if moment.latency > CAPACITY.objective_seconds or moment.rejected]


@pytest.mark.parametrize("seed", range(4))
def test_a_ramp_is_met_before_anything_is_late_and_left_again(seed):
    moments = World(POLICY, lambda now: 200 + 20 * (min(now, 200) - max(0, min(200, now - 200))), seed=seed).run(520)
    assert late(moments) == []
    assert max(moment.ordered for moment in moments) == 7, "4,200 requests/s at 567 each, and a tolerance of 10 %"
    assert moments[-1].ordered == 1
    assert len(direction_changes(moments)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_step_of_eight_times_the_load_is_met_in_seconds_and_left_again(seed):
    moments = World(POLICY, lambda now: 300 if now < 60 or now > 200 else 2400, seed=seed).run(360)
    assert moments[63].ordered >= 3
    assert all(60 <= at <= 72 for at in late(moments)), "no later than two starts"
    assert max(moment.ordered for moment in moments) <= 6
    assert moments[-1].ordered == 1
    assert len(direction_changes(moments)) == 1


def test_a_spike_scales_out_and_back_once():
    moments = World(POLICY, lambda now: 3000 if 100 < now < 110 else 200, seed=1).run(300)
    assert max(moment.ordered for moment in moments) > 1
    assert moments[-1].ordered == 1
    assert len(direction_changes(moments)) == 1
    back = next(moment.at for moment in moments if moment.decision.replicas < moment.ordered)
    assert back >= 110 + 60, "not before the stabilisation window"


def test_replicas_half_as_fast_as_measured_are_found_out():
    slow = replace(CAPACITY, alpha_seconds=2 * CAPACITY.alpha_seconds, beta_seconds=2 * CAPACITY.beta_seconds)
    moments = World(POLICY, lambda _: 1000, real=slow, seed=1).run(400, 2)
    assert late(moments)[-1] < 60
    assert moments[-1].decision.evidence.correction < 0.6
    assert len(direction_changes(moments)) == 0


def test_a_load_no_replicas_can_carry_goes_to_the_maximum_and_says_so():
    moments = World(POLICY, lambda _: 15_000, seed=1).run(60, 3)
    assert moments[-1].ordered == 10
    assert moments[-1].decision.evidence.overloaded
    assert "overloaded at the maximum of 10" in moments[-1].decision.reason
