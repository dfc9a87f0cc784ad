"""The operator's own code in a made-up cluster, whatever users, strangers, pods, builds, faults and time do."""

from slipstream_testing.states.exploring import STEPS_OF_A_LIFE, explore

LIVES = 40
"""A share: `make faults-states` lives ten times as many."""


def test_whatever_happens_the_operator_holds_its_invariants_and_comes_to_rest_where_it_should():
    assert explore(LIVES, 1) >= LIVES * STEPS_OF_A_LIFE // 2
