"""The behavior of autoscaling/v2, case by case as the HPA's own code has it."""

import pytest

from slipstream_operator.scaling.policy import (
    Behavior,
    Recommendation,
    Rules,
    ScaleEvent,
    ScalingPolicy,
    limit_rate,
    remember,
    remember_change,
    settles_in,
    stabilise,
)

HUNDRED = ScalingPolicy("Percent", 100, 15)
FOUR = ScalingPolicy("Pods", 4, 15)
TEN_PERCENT = ScalingPolicy("Percent", 10, 60)
TWO = ScalingPolicy("Pods", 2, 60)


def up(*policies, select="Max"):
    return Behavior(scale_up=Rules(policies, select=select))


def down(*policies, select="Max"):
    return Behavior(scale_down=Rules(policies, select=select))


RATES = {
    "four more beat doubling from one": (up(HUNDRED, FOUR), 1, 20, (), 5),
    "doubling beats four more from ten": (up(HUNDRED, FOUR), 10, 50, (), 20),
    "Min takes the smaller step": (up(HUNDRED, FOUR, select="Min"), 10, 50, (), 14),
    "Disabled forbids scaling out": (up(select="Disabled"), 3, 9, (), 3),
    "percent rounds up when growing": (up(TEN_PERCENT), 11, 50, (), 13),
    "what the period added counts": (up(FOUR), 8, 20, (ScaleEvent(90, 3),), 9),
    "a spent period allows nothing more": (up(FOUR), 9, 20, (ScaleEvent(90, 4),), 9),
    "what an older period added does not count": (up(FOUR), 8, 20, (ScaleEvent(85, 3),), 12),
    "replicas removed in the period may come back": (up(FOUR), 4, 20, (ScaleEvent(95, -2),), 10),
    "a base below the present never shrinks": (up(TWO), 9, 20, (ScaleEvent(90, 8),), 9),
    "no further than desired": (up(HUNDRED), 5, 6, (), 6),
    "all at once by default": (Behavior(), 10, 0, (), 0),
    "two a minute when shrinking": (down(TWO), 10, 1, (), 8),
    "percent rounds down when shrinking": (down(TEN_PERCENT), 11, 1, (), 9),
    "Max takes the larger cut": (down(TEN_PERCENT, TWO), 10, 1, (), 8),
    "Min takes the smaller cut": (down(TEN_PERCENT, TWO, select="Min"), 10, 1, (), 9),
    "what the period removed counts": (down(TWO), 9, 1, (ScaleEvent(70, -1),), 8),
    "Disabled forbids scaling in": (down(select="Disabled"), 9, 1, (), 9),
    "no change is no change": (Behavior(), 4, 4, (), 4),
}


@pytest.mark.parametrize("case", RATES)
def test_rate(case):
    behavior, current, desired, events, expected = RATES[case]
    assert limit_rate(100.0, current, desired, events, behavior) == expected


def windows(up_seconds, down_seconds):
    return Behavior(Rules((FOUR,), up_seconds), Rules((HUNDRED,), down_seconds))


STABLE = {
    "without windows the desired count is taken": (windows(0, 0), 5, 3, ((95, 9),), 3),
    "scaling in keeps the greatest recommendation": (windows(0, 60), 5, 3, ((50, 4), (95, 3)), 4),
    "one exactly as old as the window no longer counts": (windows(0, 60), 5, 3, ((40, 4),), 3),
    "a greater past recommendation does not scale out": (windows(0, 60), 5, 3, ((95, 9),), 5),
    "scaling out keeps the least recommendation": (windows(60, 0), 5, 9, ((50, 6), (95, 8)), 6),
    "a lower past recommendation does not scale in": (windows(60, 0), 5, 9, ((50, 2),), 5),
}


@pytest.mark.parametrize("case", STABLE)
def test_stabilisation(case):
    behavior, current, desired, history, expected = STABLE[case]
    assert stabilise(100.0, current, desired, [Recommendation(*item) for item in history], behavior) == expected


def test_history_keeps_the_latest_of_each_count_within_the_window():
    behavior = windows(0, 60)
    history = ()
    for now, count in ((0, 4), (10, 3), (20, 4), (30, 3), (75, 2)):
        history = remember(now, count, history, behavior)
    assert history == (Recommendation(20, 4), Recommendation(30, 3), Recommendation(75, 2))
    assert settles_in(75, 2, history, behavior) == pytest.approx(15)
    assert settles_in(75, 4, history, behavior) == 0


def test_history_forgets_what_a_clock_set_back_left_in_the_future():
    assert remember(5, 2, (Recommendation(500, 9),), windows(0, 60)) == (Recommendation(5, 2),)


def test_events_are_kept_for_the_longest_period():
    events = remember_change(100.0, 2, (ScaleEvent(30, 1), ScaleEvent(50, 1)), down(TWO))
    assert events == (ScaleEvent(50, 1), ScaleEvent(100, 2))
    assert remember_change(100.0, 0, events, down(TWO))[-1] == ScaleEvent(100, 2)


def test_a_direction_without_policies_is_refused():
    with pytest.raises(ValueError, match="at least one policy"):
        Rules(())
