"""Runs the state machine: so many lives from one seed, each of so many steps."""

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from slipstream_testing.states.machine import OperatorMachine
from slipstream_testing.states.wishes import Wish, admitted

STEPS_OF_A_LIFE = 50


def explore(lives: int, number: int) -> int:
    """Live so many lives of the seed `number`, and return how many steps they took; a broken invariant is raised."""
    admitted("alpha", Wish())  # the library of CEL rules raises the recursion limit once, which Hypothesis minds
    limits = settings(
        max_examples=lives,
        stateful_step_count=STEPS_OF_A_LIFE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    before = OperatorMachine.steps
    run_state_machine_as_test(seed(number)(OperatorMachine), settings=limits)
    return OperatorMachine.steps - before
