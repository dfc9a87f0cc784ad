"""An operator that is killed, or whose API server fails it, ends every stage where an undisturbed one does."""

import asyncio
from collections.abc import Iterator

import pytest

from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.faults.life import STAGES, Life, Reference, Trial
from slipstream_testing.faults.places import places
from slipstream_testing.faults.strikes import CALL_FAULTS, EVENT_FAULTS, KILLS, Strike

FAULTS = (*KILLS, *CALL_FAULTS, *EVENT_FAULTS)
LIVES = 5
"""Lives at once, one after the other's stage each: together every fault strikes at least once, at differing calls."""


@pytest.fixture(scope="module")
def trials(control_plane: ControlPlane) -> list[Trial]:
    """The trials of a few lives, with another fault in each stage."""
    return asyncio.run(_live(control_plane))


def test_every_disturbed_life_ends_as_the_undisturbed(trials):
    assert [trial for trial in trials if trial.differences] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_was_met(trials, fault):
    assert any(trial.struck and trial.strike is not None and trial.strike.fault == fault for trial in trials)


def _strikes(number: int, reference: Reference) -> Iterator[tuple[str, Strike]]:
    """Give the strike of each stage in the life of that number."""
    for place, stage in enumerate(STAGES, number * len(STAGES)):
        fault = FAULTS[place % len(FAULTS)]
        # How many events a stage has differs from life to life, as changes may come together; there is always a first.
        yield stage, Strike(fault, 1 if fault in EVENT_FAULTS else 1 + place % min(8, reference.calls[stage]))


async def _live(control_plane: ControlPlane) -> list[Trial]:
    async with places(control_plane, LIVES) as found:
        reference = await Life(found[0]).reference()
        lives = (Life(place).live(dict(_strikes(n, reference)), reference) for n, place in enumerate(found))
        return [trial for trials in await asyncio.gather(*lives) for trial in trials]
