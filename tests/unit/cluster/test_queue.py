import asyncio
import itertools

import pytest

from slipstream_operator.cluster.pacing import CAP_SECONDS, Pace
from slipstream_operator.cluster.queue import WorkQueue
from slipstream_operator.errors import ClusterError

KEY, OTHER = ("shop", "a"), ("shop", "b")


class Turns:
    """Records the turns a queue gives, on the loop's virtual clock."""

    def __init__(self, seconds=0.0, then=None, failures=0):
        self.seconds, self.then, self.failures = seconds, then, failures
        self.begun: list[tuple[tuple[str, str], float]] = []
        self.running: dict[tuple[str, str], int] = {}
        self.most = 0

    async def __call__(self, key):
        self.begun.append((key, asyncio.get_running_loop().time()))
        self.running[key] = self.running.get(key, 0) + 1
        assert self.running[key] == 1
        self.most = max(self.most, sum(self.running.values()))
        await asyncio.sleep(self.seconds)
        self.running[key] -= 1
        if self.failures:
            self.failures -= 1
            raise ClusterError("503")
        return self.then

    @property
    def times(self):
        return [time for _, time in self.begun]


def queue_of(turns, **more):
    return WorkQueue(turns, chance=lambda: 1.0, **more)


@pytest.mark.looptime
async def test_a_burst_of_changes_is_one_turn():
    turns = Turns()
    queue = queue_of(turns)

    for _ in range(100):
        queue.add(KEY)
    await asyncio.sleep(10)

    assert len(turns.begun) == 1
    queue.add_unknown([KEY])
    await asyncio.sleep(10)
    assert len(turns.begun) == 2  # a key that wants no other turn is forgotten


@pytest.mark.looptime
async def test_a_change_during_a_turn_brings_another_and_never_two_at_once():
    turns = Turns(seconds=1)
    queue = queue_of(turns)

    queue.add(KEY)
    await asyncio.sleep(0.5)
    queue.add(KEY)
    await asyncio.sleep(10)

    assert len(turns.begun) == 2


@pytest.mark.looptime
async def test_a_turn_that_asks_for_another_gets_it():
    turns = Turns(then=2.0)
    queue = queue_of(turns)
    queue.add(KEY)

    await asyncio.sleep(9)
    await queue.stop(0)

    assert [round(b - a) for a, b in itertools.pairwise(turns.times)] == [2, 2, 2, 2]


@pytest.mark.looptime
async def test_failures_back_off_and_a_change_cuts_that_short():
    turns = Turns(failures=6)
    queue = queue_of(turns)
    queue.add(KEY)
    await asyncio.sleep(20)

    assert [round(b - a, 1) for a, b in itertools.pairwise(turns.times)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    queue.add(KEY)
    await asyncio.sleep(1.5)
    assert len(turns.begun) == 7


@pytest.mark.looptime
async def test_other_keys_do_not_wait_for_a_slow_one_but_for_a_free_slot():
    turns = Turns(seconds=5)
    queue = queue_of(turns, concurrency=2)

    queue.add_all([KEY, OTHER, ("shop", "c")])
    await asyncio.sleep(4)
    assert len(turns.begun) == 2
    await asyncio.sleep(4)

    assert len(turns.begun) == 3
    assert turns.most == 2


@pytest.mark.looptime
async def test_what_changed_goes_before_what_is_only_looked_at_again():
    turns = Turns(seconds=1, then=5)
    queue = queue_of(turns, concurrency=1)
    for number in range(20):
        queue.add(("shop", f"old-{number}"))
    await asyncio.sleep(40)  # from here on more looks are due than can be done

    queue.add(KEY)
    await asyncio.sleep(2.5)
    queue.add(("shop", "old-3"))  # one that waits for its look, or has just had it
    await asyncio.sleep(2.5)
    await queue.stop(0)

    asked = [key for key, at in turns.begun if at >= 40]
    assert KEY in asked[:2]
    assert ("shop", "old-3") in asked[2:5]


@pytest.mark.looptime
async def test_a_stream_of_changes_leaves_every_fourth_turn_to_those_that_are_only_looked_at():
    turns = Turns(seconds=1, then=5)
    queue = queue_of(turns, concurrency=1)
    queue.add(OTHER)
    await asyncio.sleep(1)
    for number in range(40):
        queue.add(("shop", f"changed-{number}"))
    await asyncio.sleep(10)
    await queue.stop(0)

    assert [key for key, _ in turns.begun].count(OTHER) == 2


@pytest.mark.looptime
async def test_an_unexpected_error_of_one_key_does_not_end_the_queue(caplog):
    async def handle(key):
        raise KeyError("surprise")

    queue = queue_of(handle)
    queue.add(KEY)
    await asyncio.sleep(1)
    await queue.stop(0)

    assert "surprise" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.looptime
async def test_a_turn_that_hangs_shows_in_the_age_of_the_queue():
    queue = queue_of(Turns(seconds=1000))
    queue.add(KEY)
    await asyncio.sleep(400)

    assert queue.overdue_seconds() > 300
    await queue.stop(0)


def test_back_off_never_exceeds_its_cap():
    pace = Pace()
    for _ in range(1000):
        pace = pace.failed(0.0)

    assert pace.on_failure(1.0) == CAP_SECONDS
    assert pace.succeeded(0.0).on_change() < 1
