"""An operator that is killed, or whose API server fails it, ends every stage where an undisturbed one does."""

import asyncio

import pytest

from slipstream_testing.faults.life import STAGES, Life
from slipstream_testing.faults.places import places
from slipstream_testing.faults.strikes import CALL_FAULTS, EVENT_FAULTS, KILLS, Strike

SHARE = 8
"""Lives at once: all faults together take as long as a few lives after one another."""


@pytest.fixture(scope="module")
def trials(control_plane):
    """The trials of one life with each fault, and of four with kills, each struck once in every stage."""
    return asyncio.run(_live(control_plane, list(_lives())))


def test_every_disturbed_life_ends_as_the_undisturbed(trials):
    assert [trial for trial in trials if trial.differences] == []


@pytest.mark.parametrize("fault", [*KILLS, *CALL_FAULTS, *EVENT_FAULTS])
def test_every_fault_was_met(trials, fault):
    assert any(trial.struck and trial.strike.fault == fault for trial in trials)


def _lives():
    """Give the strikes of each life, at different calls for different faults."""
    for fault in KILLS:
        for at in (4, 18):
            yield {stage: Strike(fault, at) for stage in STAGES}
    for number, fault in enumerate((*CALL_FAULTS, *EVENT_FAULTS)):
        yield {stage: Strike(fault, 2 + number % 5) for stage in STAGES}


async def _live(control_plane, lives):
    async with places(control_plane, SHARE) as found:
        reference = await Life(found[0]).reference()
        waiting, trials = iter(lives), []

        async def at(place):
            for strikes in waiting:
                trials.extend(await Life(place).live(strikes, reference))

        await asyncio.gather(*map(at, found))
        return trials
