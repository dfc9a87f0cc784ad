"""How many processes and threads a replica takes of the processors it has."""

import pytest

from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.processes import PROCESS_BYTES, Plan, fitting_processes, plan_processes


def line(alpha, beta):
    return LatencyCurve(alpha, beta, 0.0, ())


CHEAP = line(8e-6, 2e-6)
FIVE_MILLISECONDS = line(1e-3, 0.15e-3)
HEAVY = line(1e-3, 2.5e-3)


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
        (line(1e-3, 0.0), 4, Plan(1, 1)),
        (None, 4, Plan(1, 1)),
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


def test_no_more_processes_than_memory_holds_and_always_one():
    model = 20 << 20
    each = PROCESS_BYTES + 3 * model

    assert fitting_processes(4 * each, model, cache_bytes=0) == 4
    assert fitting_processes(4 * each, model, cache_bytes=1) == 3
    assert fitting_processes(1, model, cache_bytes=0) == 1
