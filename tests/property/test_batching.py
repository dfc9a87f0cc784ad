"""Whatever arrives, leaves or fails: batches keep their bounds, and everyone gets their own answer exactly once."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream_runtime.batching.batcher import Batcher, BatchRules
from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.deadline_queue import DeadlineQueue, Entry
from slipstream_runtime.batching.execution import CULPRITS, run_batch
from slipstream_runtime.batching.runners import LoopRunner, ThreadRunner
from slipstream_runtime.errors import DeadlineError, ModelFailedError
from slipstream_runtime.observing.telemetry import Telemetry


class Caller:
    """Stands for the caller's future in the queue."""

    def __init__(self, gone):
        self.gone = gone

    def done(self):
        return self.gone


entries = st.builds(
    Entry,
    tensors=st.just(()),
    rows=st.integers(1, 6),
    arrived=st.just(0.0),
    deadline=st.integers(0, 20).map(float),
    reply=st.booleans().map(Caller),
    shape=st.sampled_from([((1,),), ((2,),)]),
    level=st.integers(1, 3),
)


@given(st.lists(entries, max_size=30), st.integers(1, 8), st.integers(0, 20))
def test_the_queue_hands_out_every_waiting_request_once_within_the_bounds(waiting, max_rows, now):
    queue = DeadlineQueue(5.0)
    for entry in waiting:
        queue.push(entry)
    batches, expired = [], []
    while len(queue):
        taken = queue.take(now, lambda _: max_rows)
        expired += taken.expired
        if taken.batch:
            batches.append(taken.batch)
        assert taken.rows == sum(entry.rows for entry in taken.batch)
        assert taken.rows <= max_rows or len(taken.batch) == 1
        assert len({entry.shape for entry in taken.batch}) <= 1
    handed = [entry for batch in batches for entry in batch]
    assert queue.rows == 0
    assert all(entry.deadline > now and not entry.reply.gone for entry in handed)
    assert all(entry.deadline <= now for entry in expired)
    assert sorted(map(id, handed + expired)) == sorted(id(entry) for entry in waiting if not entry.reply.gone)


@given(st.lists(entries, max_size=30), st.integers(1, 8))
def test_no_request_goes_before_a_more_urgent_one_of_its_shape(waiting, max_rows):
    queue = DeadlineQueue(5.0)
    for entry in waiting:
        queue.push(entry)
    order = {shape: [] for shape in {entry.shape for entry in waiting}}
    while len(queue):
        for entry in queue.take(-1, lambda _: max_rows).batch:
            order[entry.shape].append(entry.deadline + 5 * (entry.level - 1))
    assert all(deadlines == sorted(deadlines) for deadlines in order.values())


POISON = -1
actions = st.tuples(
    st.sampled_from(["wait", "cancel soon", "cancel later", "poison", "expired", "switch"]),
    st.integers(1, 5),  # rows
    st.integers(0, 2),  # rounds of the loop before it is sent
    st.integers(1, 3),  # columns, which have to be equal within a batch
    st.integers(0, 3),  # priority
)


class EchoModel:
    """Answers every nonce unchanged, and fails on poison."""

    def __init__(self):
        self.seen = []

    def run(self, tensors):
        (nonces,) = tensors
        self.seen.append(nonces[:, 0].tolist())
        if (nonces == POISON).any():
            raise RuntimeError("poisoned")
        return (nonces.copy(),)


async def ask(batcher, kind, nonces, columns, priority):
    deadline = batcher.clock() + (-1 if kind == "expired" else 100)
    values = np.array([[POISON if kind == "poison" else nonce] * columns for nonce in nonces], np.int64)
    reply = asyncio.get_running_loop().create_future()
    batcher.submit((values,), len(nonces), deadline, reply, ((columns,),), priority)
    if kind == "cancel soon":
        reply.cancel()
    elif kind == "cancel later":
        await asyncio.sleep(0)
        reply.cancel()
    answer = await reply
    assert answer.variant in {"first", "second"}
    assert answer.outputs[0].shape == (len(nonces), columns)
    return answer.outputs[0][:, 0].tolist()


async def converse(sent, runner, model):
    rules = BatchRules(objective_seconds=100, cap=8)
    batcher = Batcher(model.run, Line(1e-4, 1e-5), "first", rules, runner, Telemetry(0.1))
    tasks, nonce = [], 0
    for kind, rows, rounds, columns, priority in sent:
        for _ in range(rounds):
            await asyncio.sleep(0)
        nonces = list(range(nonce, nonce + rows))
        nonce += rows
        if kind == "switch":
            batcher.switch(model.run, Line(1e-4, 1e-5), "second")
        tasks.append((kind, nonces, asyncio.ensure_future(ask(batcher, kind, nonces, columns, priority))))
    await asyncio.wait([task for _, _, task in tasks], timeout=30)
    runner.close()
    return tasks


def check(tasks, model):
    for kind, nonces, task in tasks:
        assert task.done()
        if task.cancelled():
            assert kind.startswith("cancel")
        elif task.exception() is not None:
            wanted = {"poison": ModelFailedError, "expired": DeadlineError}[kind]
            assert isinstance(task.exception(), wanted)
        else:
            assert task.result() == nonces
            assert kind in {"wait", "cancel later", "switch"}
    computed = {nonce for batch in model.seen for nonce in batch}
    for kind, nonces, _ in tasks:
        if kind in {"expired", "cancel soon"}:
            assert not computed & set(nonces)
    assert all(len(batch) <= 8 for batch in model.seen)


@given(st.lists(actions, min_size=1, max_size=25))
@settings(max_examples=200, deadline=None)
async def test_everyone_gets_their_own_answer_on_the_loop(sent):
    model = EchoModel()
    check(await converse(sent, LoopRunner(), model), model)


@given(st.lists(actions, min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
async def test_everyone_gets_their_own_answer_from_the_thread(sent):
    model = EchoModel()
    check(await converse(sent, ThreadRunner(asyncio.get_running_loop()), model), model)


@given(st.lists(st.booleans(), min_size=1, max_size=64))
def test_a_failed_batch_costs_a_bounded_number_of_runs_however_many_fail(poisoned):
    computed, runs = 0, 0

    def run(tensors):
        nonlocal computed, runs
        computed, runs = computed + len(tensors[0]), runs + 1
        if (tensors[0] == POISON).any():
            raise RuntimeError("poisoned")
        return tensors

    requests = [(np.array([[POISON if bad else i]]),) for i, bad in enumerate(poisoned)]
    outcomes = run_batch(run, requests, [1] * len(requests), batched=True)
    for i, (bad, outcome) in enumerate(zip(poisoned, outcomes, strict=True)):
        assert isinstance(outcome, RuntimeError) if bad else outcome[0].tolist() == [[i]]
    assert computed <= 5 * len(requests)
    if sum(poisoned) <= CULPRITS:
        assert runs <= 1 + 2 * sum(poisoned) * math.ceil(math.log2(len(requests) + 1))


class HeldRunner:
    """Takes `seconds` of the loop's time for each batch, and notes when the session was busy."""

    inline = False

    def __init__(self, seconds):
        self.seconds, self.busy, self.sizes = seconds, [], []

    def start(self, work, done, more):
        loop = asyncio.get_running_loop()
        running, outcomes, _ = work()
        self.busy.append((loop.time(), loop.time() + self.seconds))
        self.sizes.append(running.rows)
        loop.call_later(self.seconds, done, (running, outcomes, self.seconds))

    def close(self):
        pass


@pytest.mark.looptime
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
async def test_the_session_is_never_idle_while_anyone_waits_and_nobody_waits_for_ever(arrivals):
    loop = asyncio.get_running_loop()
    runner = HeldRunner(0.01)
    rules = BatchRules(objective_seconds=100, cap=4)
    batcher = Batcher(lambda tensors: tensors, Line(0.01, 0), "v", rules, runner, Telemetry(0.1), clock=loop.time)
    waits, replies = [], []
    for pause, columns, priority in arrivals:
        await asyncio.sleep(pause / 1000)
        reply, begun = loop.create_future(), loop.time()
        reply.add_done_callback(lambda _, begun=begun: waits.append((begun, loop.time())))
        values = (np.zeros((1, columns)),)
        batcher.submit(values, 1, loop.time() + 1000, reply, ((columns,),), priority)
        replies.append(reply)
    await asyncio.gather(*replies)
    await asyncio.sleep(0)
    for begun, ended in waits:
        busy = sum(max(0.0, min(ended, to) - max(begun, since)) for since, to in runner.busy)
        assert busy >= (ended - begun) - 1e-6
    assert max(runner.sizes) <= 4
