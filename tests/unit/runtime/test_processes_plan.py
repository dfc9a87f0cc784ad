"""How many processes and threads a replica takes of the processors it has."""

import pytest

from slipstream_runtime.batching.curve import Line
from slipstream_runtime.model.processes import Plan, plan_processes

CHEAP = Line(8e-6, 2e-6)
FIVE_MILLISECONDS = Line(1e-3, 0.15e-3)
HEAVY = Line(1e-3, 2.5e-3)


@pytest.mark.parametrize(
    ("cost", "processors", "plan"),
    [
        (CHEAP, 2, Plan(2, 1)),
        (CHEAP, 8.5, Plan(8, 1)),
        (CHEAP, 0.5, Plan(1, 1)),
        (FIVE_MILLISECONDS, 2, Plan(1, 1)),
        (FIVE_MILLISECONDS, 4, Plan(1, 3)),
        (HEAVY, 2, Plan(1, 2)),
        (HEAVY, 1.9, Plan(1, 1)),
        (HEAVY, 16, Plan(1, 16)),
        (Line(1e-3, 0.0), 4, Plan(1, 1)),
    ],
)
def test_the_plan_follows_the_cost(cost, processors, plan):
    assert plan_processes(0, 0, processors, cost) == plan


def test_what_was_asked_for_is_kept():
    assert plan_processes(3, 2, 1, HEAVY) == Plan(3, 2)
    assert plan_processes(2, 0, 8, HEAVY) == Plan(2, 4)
    assert plan_processes(0, 2, 8, CHEAP) == Plan(4, 2)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_an_accelerator_has_one_owner(provider):
    assert plan_processes(0, 1, 16, CHEAP, provider).processes == 1
