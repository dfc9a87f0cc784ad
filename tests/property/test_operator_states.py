"""The operator's own code in a made-up cluster, whatever users, strangers, pods, builds, faults and time do."""

import pytest

from slipstream_testing.states.exploring import STEPS_OF_A_LIFE, explore
from slipstream_testing.states.machine import OperatorMachine

LIVES = 40
"""A share: `make faults-states` lives ten times as many."""


def test_whatever_happens_the_operator_holds_its_invariants_and_comes_to_rest_where_it_should():
    assert explore(LIVES, 1) >= LIVES * STEPS_OF_A_LIFE // 2


def test_a_namesake_is_left_alone_even_while_a_late_watch_shows_our_own_object_in_its_place():
    life = OperatorMachine()
    life.users_apply(name="alpha", part=("scaling", 0), beats=3)
    life.a_build_succeeds(place=0, beats=3)

    life.watches_are_late(late=True, beats=0)
    life.store.remove(life.store.objects["Deployment", "alpha"])
    life.strangers_take_a_name(name="alpha", kind="Deployment", copycat=False, beats=0)
    life.users_apply(name="alpha", part=("scaling", 2), beats=3)

    assert life.strangers.are_untouched()
    life.teardown()


def test_no_build_writes_to_the_claim_of_a_stranger():
    life = OperatorMachine()
    life.strangers_take_a_name(name="alpha", kind="PersistentVolumeClaim", copycat=False, beats=0)
    life.users_apply(name="alpha", part=("scaling", 0), beats=3)
    assert life.store.of_kind("Job") == []

    life.strangers_leave(beats=3)
    assert len(life.store.of_kind("Job")) == 1
    life.teardown()


@pytest.mark.parametrize("passing", range(25))
def test_a_spec_is_built_once_whichever_call_is_refused(passing):
    life = OperatorMachine()
    life.the_api_server_fails(kind="error", passing=passing, beats=0)
    life.users_apply(name="alpha", part=("scaling", 0), beats=3)
    (job,) = life.store.of_kind("Job")
    life.a_build_succeeds(place=0, beats=3)

    assert [found["metadata"]["uid"] for found in life.store.of_kind("Job")] == [job["metadata"]["uid"]]
    assert life.store.objects["AgentDeployment", "alpha"]["status"]["build"]["job"] == job["metadata"]["name"]
    life.teardown()
