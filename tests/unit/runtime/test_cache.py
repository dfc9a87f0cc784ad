"""The cache answers exactly, within its bytes and its time, and computes once for callers at the same time."""

import asyncio

import numpy as np
import pytest

from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.caching.lru import ENTRY_OVERHEAD_BYTES, ByteLru
from slipstream_runtime.errors import ModelFailedError
from slipstream_runtime.observing.telemetry import Telemetry


def answer(value: float):
    return (np.full((1, 25), value, np.float32),)


def key(number: int) -> bytes:
    return bytes([number])


SIZE = 100 + ENTRY_OVERHEAD_BYTES


def test_the_least_recently_used_answer_leaves_first():
    store = ByteLru(2 * SIZE, 10)
    for number in (1, 2):
        store.put(key(number), answer(number), now=0)
    store.get(key(1), now=0)
    store.put(key(3), answer(3), now=0)
    assert store.get(key(2), now=0) is None
    assert store.get(key(1), now=0) is not None
    assert store.bytes == 2 * SIZE


def test_answers_expire():
    store = ByteLru(2 * SIZE, 10)
    store.put(key(1), answer(1), now=0)
    assert store.get(key(1), now=9.9) is not None
    assert store.get(key(1), now=10) is None
    assert store.bytes == 0


def test_an_answer_larger_than_the_store_is_not_kept():
    store = ByteLru(SIZE - 1, 10)
    store.put(key(1), answer(1), now=0)
    assert len(store) == 0


class Model:
    """Computes when told to, and counts."""

    def __init__(self):
        self.replies = []

    def compute(self):
        reply = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        return reply


async def started(*calls):
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


async def test_callers_at_the_same_time_share_one_computation():
    telemetry, model = Telemetry(0.1), Model()
    cache = AnswerCache(ByteLru(10_000, 10), "a", telemetry)
    tasks = await started(*(cache.answer(answer(1), model.compute) for _ in range(3)))
    assert len(model.replies) == 1
    model.replies[0].set_result(answer(7))
    results = await asyncio.gather(*tasks)
    assert all(result[0][0, 0] == 7 for result in results)
    assert (telemetry.cache_hits, telemetry.cache_misses) == (2, 1)
    assert (await cache.answer(answer(1), model.compute))[0][0, 0] == 7
    assert len(model.replies) == 1


async def test_a_caller_who_leaves_does_not_take_the_answer_from_the_others():
    model = Model()
    cache = AnswerCache(ByteLru(10_000, 10), "a", Telemetry(0.1))
    first, second = await started(*(cache.answer(answer(1), model.compute) for _ in range(2)))
    first.cancel()
    await asyncio.sleep(0)
    assert not model.replies[0].cancelled()
    model.replies[0].set_result(answer(7))
    assert (await second)[0][0, 0] == 7


async def test_when_all_callers_leave_the_computation_is_cancelled():
    model = Model()
    cache = AnswerCache(ByteLru(10_000, 10), "a", Telemetry(0.1))
    tasks = await started(*(cache.answer(answer(1), model.compute) for _ in range(2)))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert model.replies[0].cancelled()
    await started(cache.answer(answer(1), model.compute))
    assert len(model.replies) == 2


async def test_errors_are_not_kept():
    model = Model()
    cache = AnswerCache(ByteLru(10_000, 10), "a", Telemetry(0.1))
    (task,) = await started(cache.answer(answer(1), model.compute))
    model.replies[0].set_exception(ModelFailedError("no"))
    with pytest.raises(ModelFailedError):
        await task
    await started(cache.answer(answer(1), model.compute))
    assert len(model.replies) == 2


async def test_shape_and_dtype_are_part_of_the_key():
    model = Model()
    cache = AnswerCache(ByteLru(10_000, 10), "a", Telemetry(0.1))
    zeros = [np.zeros((2, 2), np.float32), np.zeros((4, 1), np.float32), np.zeros((2, 2), np.int32)]
    await started(*(cache.answer((array,), model.compute) for array in zeros))
    assert len(model.replies) == 3
