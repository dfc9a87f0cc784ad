"""The cache of answers is exact, keeps callers apart, computes once for equal requests, and harms nobody by that."""

import asyncio

import numpy as np
import pytest

from slipstream_runtime.caching import cache as cache_module
from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.errors import DeadlineError, ModelFailedError, OverloadedError
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer

ALICE, BOB = b"key:alice", b"key:bob"


class Model:
    """Computes when told to; holds the replies it was asked for, as the batcher's queue does."""

    def __init__(self):
        self.replies = []

    def compute(self, reply):
        self.replies.append(reply)

    def finish(self, number=-1, value=7.0, variant="original"):
        reply = self.replies[number]
        if not reply.done():
            reply.set_result(Answer(row(value), variant))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def row(value, dtype=np.float32):
    return (np.full((1, 4), value, dtype),)


@pytest.fixture
def telemetry():
    return Telemetry(0.1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(telemetry, clock):
    return AnswerCache(ByteLru(100_000, 10), "artifact", "original", telemetry, lambda: 1.0, clock=clock)


@pytest.fixture
def model():
    return Model()


def ask(cache, model, tensors, tenant=ALICE, deadline=200.0):
    reply = asyncio.get_running_loop().create_future()
    cache.submit(tensors, tenant, reply, model.compute, 1, deadline)
    return reply


async def test_callers_at_the_same_time_share_one_computation(cache, model, telemetry):
    replies = [ask(cache, model, row(1)) for _ in range(3)]
    assert len(model.replies) == 1
    model.finish()
    assert [reply.result().outputs[0][0, 0] for reply in replies] == [7, 7, 7]
    assert (telemetry.answers.hits, telemetry.answers.misses) == (2, 1)


async def test_a_kept_answer_equals_the_computed_one_byte_for_byte_and_says_its_variant(cache, model):
    computed, later = ask(cache, model, row(1)), None
    model.replies[0].set_result(Answer((np.random.default_rng(1).random((1, 4), np.float32),), "original"))
    later = ask(cache, model, row(1))
    assert len(model.replies) == 1
    assert later.result().outputs[0].tobytes() == computed.result().outputs[0].tobytes()
    assert later.result().variant == "original"


async def test_a_kept_answer_does_not_change_with_the_batch_it_was_cut_from(cache, model):
    ask(cache, model, row(1))
    batch = np.ones((64, 4), np.float32)
    model.replies[0].set_result(Answer((batch[:1],), "original"))
    batch[:] = 0
    assert ask(cache, model, row(1)).result().outputs[0].sum() == 4


async def test_two_tenants_never_share_an_answer_or_a_computation(cache, model):
    ask(cache, model, row(1), ALICE)
    ask(cache, model, row(1), BOB)
    assert len(model.replies) == 2
    model.finish(0, value=1)
    assert not ask(cache, model, row(1), BOB).done()
    assert ask(cache, model, row(1), ALICE).done()


async def test_shape_dtype_and_every_byte_are_part_of_the_key(cache, model):
    different = [
        (np.zeros((2, 2), np.float32),),
        (np.zeros((4, 1), np.float32),),
        (np.zeros((2, 2), np.int32),),
        (np.negative(np.zeros((2, 2), np.float32)),),
        (np.zeros((2, 2), np.float32), np.zeros((0,), np.float32)),
        (np.array([["a", "bc"]], object),),
        (np.array([["ab", "c"]], object),),
    ]
    for tensors in different:
        ask(cache, model, tensors)
    assert len(model.replies) == len(different)


async def test_strings_are_compared_by_what_they_say_not_by_where_they_are(cache, model):
    ask(cache, model, (np.array([["".join(["to", "day"])]], object),))
    ask(cache, model, (np.array([["".join(["tod", "ay"])]], object),))
    assert len(model.replies) == 1


async def test_keys_whose_hashes_collide_are_told_apart_by_all_their_bytes(telemetry, model, monkeypatch):
    class Colliding(bytes):
        def __hash__(self):
            return self[0]

        def __eq__(self, other):
            return bytes(self) == bytes(other)

    honest = cache_module.tensors_key
    monkeypatch.setattr(cache_module, "tensors_key", lambda tensors, context: Colliding(honest(tensors, context)))
    cache = AnswerCache(ByteLru(10_000_000, 10), "artifact", "original", telemetry, lambda: 1.0)
    for value in range(2000):
        ask(cache, model, row(value))
        model.finish(value=value)
    for value in range(2000):
        assert ask(cache, model, row(value)).result().outputs[0][0, 0] == value
    assert len(model.replies) == 2000


async def test_a_caller_who_leaves_does_not_take_the_answer_from_the_others(cache, model):
    first, second = ask(cache, model, row(1)), ask(cache, model, row(1))
    first.cancel()
    assert not model.replies[0].done()
    model.finish()
    assert second.result().outputs[0][0, 0] == 7


async def test_when_the_last_caller_leaves_the_computation_is_dropped_and_nobody_joins_it(cache, model):
    for reply in [ask(cache, model, row(1)) for _ in range(2)]:
        reply.cancel()
    assert model.replies[0].done()
    reply = ask(cache, model, row(1))
    assert len(model.replies) == 2
    model.finish()
    assert reply.done()


async def test_a_computation_that_nobody_has_dropped_yet_is_joined_although_its_callers_have_gone(cache, model):
    ask(cache, model, row(1)).cancel()
    reply = ask(cache, model, row(1))
    assert len(model.replies) == 1
    assert not model.replies[0].done()
    model.finish()
    assert reply.done()


async def test_an_error_reaches_every_caller_once_and_is_not_kept(cache, model):
    replies = [ask(cache, model, row(1)) for _ in range(2)]
    model.replies[0].set_exception(ModelFailedError("no"))
    for reply in replies:
        with pytest.raises(ModelFailedError):
            reply.result()
    ask(cache, model, row(1))
    assert len(model.replies) == 2


async def test_a_deadline_that_was_anothers_does_not_end_the_wait(cache, model, clock):
    hasty, patient, later = (ask(cache, model, row(1), deadline=deadline) for deadline in (101, 150, 160))
    clock.now = 102
    model.replies[0].set_exception(DeadlineError("late"))
    assert isinstance(hasty.exception(), DeadlineError)
    assert not patient.done()
    assert len(model.replies) == 2
    model.finish()
    assert patient.done()
    assert later.done()


async def test_a_more_urgent_request_does_not_wait_behind_a_patient_one(cache, model):
    ask(cache, model, row(1), deadline=1000)
    urgent = ask(cache, model, row(1), deadline=101)
    assert len(model.replies) == 2
    model.finish(1)
    assert urgent.done()


async def test_a_request_refused_at_once_leaves_nothing_to_join(cache, model):
    def refuse(reply):
        raise OverloadedError("no", 1)

    reply = asyncio.get_running_loop().create_future()
    with pytest.raises(OverloadedError):
        cache.submit(row(1), ALICE, reply, refuse, 1, 150.0)
    assert not reply.done()
    ask(cache, model, row(1))
    assert len(model.replies) == 1


async def test_after_a_switch_of_variants_old_answers_are_not_given_and_late_ones_not_kept(cache, model):
    ask(cache, model, row(1))
    model.finish()
    asked_before = ask(cache, model, row(2))
    cache.switch("int8")
    assert not ask(cache, model, row(1)).done()
    model.finish(1, variant="int8")
    assert asked_before.result().variant == "int8"
    cache.switch("original")
    assert ask(cache, model, row(1)).result().variant == "original"
    assert not ask(cache, model, row(2)).done()


async def test_answers_expire(cache, model, clock):
    ask(cache, model, row(1))
    model.finish()
    clock.now += 9
    assert ask(cache, model, row(1)).done()
    clock.now += 2
    assert not ask(cache, model, row(1), deadline=500).done()


async def test_thousands_of_random_comings_and_goings_leave_nothing_behind_and_mix_nothing_up(cache, model):
    random = np.random.default_rng(4)
    asked = []
    for _ in range(5000):
        value = int(random.integers(20))
        reply = ask(
            cache, model, row(value), tenant=ALICE if value % 2 else BOB, deadline=float(random.integers(150, 200))
        )
        asked.append((value, reply, len(model.replies)))
        choice = random.random()
        if choice < 0.2:
            asked[int(random.integers(len(asked)))][1].cancel()
        pending = [i for i, one in enumerate(model.replies) if not one.done()]
        if pending and choice > 0.6:
            one = model.replies[pending[int(random.integers(len(pending)))]]
            value = next(iter(v for v, _, count in asked if model.replies[count - 1] is one), None)
            if choice > 0.95 or value is None:
                one.set_exception(ModelFailedError("no"))
            else:
                one.set_result(Answer(row(value), "original"))
    for one in model.replies:
        if not one.done():
            one.set_exception(ModelFailedError("end"))
    assert all(reply.done() for _, reply, _ in asked)
    wrong = [
        value
        for value, reply, _ in asked
        if not reply.cancelled() and reply.exception() is None and reply.result().outputs[0][0, 0] != value
    ]
    assert not wrong
    assert not cache._flights.by_key
