import asyncio
from datetime import UTC, datetime

import pytest

from slipstream_operator.cluster.lease import DURATION_SECONDS, GIVE_UP_SECONDS, Leadership, Sight, held, may_take
from slipstream_operator.cluster.settings import OperatorSettings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def lease(holder, version="1", transitions=0):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": transitions}
    return {"metadata": {"resourceVersion": version}, "spec": spec}


def test_a_free_lease_is_taken_and_a_held_one_is_not():
    assert may_take(lease(""), Sight(), "me", 0)
    assert may_take(lease("me"), Sight(), "me", 0)
    assert not may_take(lease("you"), Sight().seen(lease("you"), 0), "me", 14)


def test_a_holder_that_is_silent_for_longer_than_promised_has_lost_it():
    sight = Sight().seen(lease("you"), 0)

    assert may_take(lease("you"), sight.seen(lease("you"), 15.1), "me", 15.1)


def test_each_renewal_starts_the_wait_anew():
    sight = Sight().seen(lease("you", "1"), 0).seen(lease("you", "2"), 14)

    assert not may_take(lease("you", "2"), sight, "me", 20)


def test_taking_over_counts_and_renewing_does_not():
    assert held(lease("you", transitions=3), "me", NOON)["spec"]["leaseTransitions"] == 4
    assert held(lease("me", transitions=3), "me", NOON)["spec"]["leaseTransitions"] == 3


def test_a_leader_gives_up_before_another_may_take_over():
    assert GIVE_UP_SECONDS < DURATION_SECONDS


class Renewing:
    """An API server that holds our Lease, and cancels a task while the answer to a renewal is on its way."""

    task: asyncio.Task[None]

    async def get(self, kind, namespace, name):
        return lease("me")

    async def replace(self, kind, document):
        asyncio.get_running_loop().call_soon(self.task.cancel)
        return document


@pytest.mark.looptime
async def test_a_leader_that_is_stopped_as_its_renewal_is_answered_stops():
    server = Renewing()
    keeping = server.task = asyncio.create_task(Leadership(server, OperatorSettings(identity="me")).keep())

    await asyncio.wait([keeping], timeout=GIVE_UP_SECONDS / 2)

    assert keeping.cancelled()
