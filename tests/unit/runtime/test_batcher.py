"""Batches form while the session runs, never wait while it idles, and keep every caller apart; in virtual time."""

import asyncio

import numpy as np
import pytest

from slipstream_runtime.batching.batcher import Batcher, BatchRules
from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.runners import LoopRunner
from slipstream_runtime.errors import DeadlineError, ModelFailedError, UnavailableError
from slipstream_runtime.observing.health import WEDGED_SECONDS
from slipstream_runtime.observing.telemetry import DEADLINE, Telemetry

pytestmark = pytest.mark.looptime

LINE = Line(0.010, 0.001)


class TimedRunner:
    """Takes virtual time for each batch as the line says."""

    inline = False

    def __init__(self, model):
        self.model = model

    def start(self, work, done, more):
        running, outcomes, _ = work()
        loop = asyncio.get_running_loop()
        seconds = LINE.seconds(self.model.batches[-1])
        loop.call_later(seconds, done, (running, outcomes, seconds))

    def close(self):
        pass


class Model:
    """Doubles its input; fails on a batch that holds a negative number."""

    def __init__(self):
        self.batches = []

    def run(self, tensors):
        (values,) = tensors
        self.batches.append(len(values))
        if (values < 0).any():
            raise RuntimeError("a secret of the session: /models/x.onnx")
        return (values * 2,)


@pytest.fixture
def model():
    return Model()


def batcher(model, runner=None, clock=None, **rules):
    telemetry = Telemetry(0.1)
    made = Batcher(
        model.run,
        LINE,
        "first",
        BatchRules(**({"objective_seconds": 1.0, "cap": 4} | rules)),
        runner or TimedRunner(model),
        telemetry,
        clock=clock or asyncio.get_running_loop().time,
    )
    return made, telemetry


def submit(made, tensors, rows, deadline, *bucket):
    reply = asyncio.get_running_loop().create_future()
    made.submit(tensors, rows, deadline, reply, *bucket)
    return reply


def row(*values):
    return (np.array(values, np.float32).reshape(-1, 1),)


def now():
    return asyncio.get_running_loop().time()


async def test_an_idle_session_never_waits(model):
    made, _ = batcher(model)
    begun = now()
    await submit(made, row(1), 1, begun + 1)
    assert now() - begun == pytest.approx(LINE.seconds(1))


async def test_arrivals_during_a_run_form_the_next_batch_within_the_bound(model):
    made, _ = batcher(model)
    first = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    rest = [submit(made, row(i), 1, now() + 1) for i in range(6)]
    results = await asyncio.gather(first, *rest)
    assert model.batches == [1, 4, 2]
    assert [result.outputs[0][0, 0] for result in results] == [0, 0, 2, 4, 6, 8, 10]


async def test_the_earliest_deadline_goes_first(model):
    made, _ = batcher(model, cap=1)
    submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    order = []
    begun = now()
    for name, patience in (("late", 3), ("soon", 1), ("middle", 2)):
        reply = submit(made, row(1), 1, begun + patience)
        reply.add_done_callback(lambda _, name=name: order.append(name))
    await asyncio.sleep(1)
    assert order == ["soon", "middle", "late"]


async def test_a_request_of_several_rows_gets_its_own_rows_back(model):
    made, _ = batcher(model)
    replies = [submit(made, row(1, 2), 2, now() + 1), submit(made, row(3), 1, now() + 1)]
    results = await asyncio.gather(*replies)
    assert [result.outputs[0].ravel().tolist() for result in results] == [[2, 4], [6]]
    assert model.batches == [3]


async def test_a_cancelled_caller_is_skipped(model):
    made, _ = batcher(model)
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    gone, stays = submit(made, row(1), 1, now() + 1), submit(made, row(2), 1, now() + 1)
    gone.cancel()
    assert (await stays).outputs[0][0, 0] == 4
    await blocker
    assert model.batches == [1, 1]
    assert made.queued_rows == 0


async def test_a_caller_cancelled_while_its_batch_runs_shifts_nobody(model):
    made, _ = batcher(model)
    gone, stays = submit(made, row(1), 1, now() + 1), submit(made, row(2), 1, now() + 1)
    await asyncio.sleep(0.001)
    gone.cancel()
    assert (await stays).outputs[0][0, 0] == 4


async def test_an_expired_request_is_never_computed(model):
    made, telemetry = batcher(model)
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    late = submit(made, row(1), 1, now() + 0.005)
    with pytest.raises(DeadlineError):
        await late
    await blocker
    assert model.batches == [1]
    assert telemetry.rejected[DEADLINE] == 1


@pytest.mark.parametrize("culprit", range(4))
async def test_only_the_culprit_of_a_failed_batch_fails(model, culprit):
    made, _ = batcher(model)
    replies = [submit(made, row(-1 if i == culprit else i), 1, now() + 1) for i in range(4)]
    results = await asyncio.gather(*replies, return_exceptions=True)
    for i, result in enumerate(results):
        if i == culprit:
            assert isinstance(result, ModelFailedError)
            assert "secret" not in str(result)
        else:
            assert result.outputs[0][0, 0] == 2 * i


async def test_an_answer_of_another_length_goes_to_nobody(model):
    model.run = lambda tensors: (np.zeros((1, 1), np.float32),)
    model.batches.append(1)
    made, _ = batcher(model)
    replies = [submit(made, row(i, i), 2, now() + 1) for i in range(2)]
    results = await asyncio.gather(*replies, return_exceptions=True)
    assert all(isinstance(result, ModelFailedError) for result in results)


async def test_an_answer_that_is_not_finite_fails_alone(model):
    model.run = lambda tensors: (1 / tensors[0],)
    model.batches.append(1)
    made, _ = batcher(model)
    with np.errstate(divide="ignore"):
        replies = [submit(made, row(i), 1, now() + 1) for i in (0, 2)]
        results = await asyncio.gather(*replies, return_exceptions=True)
    assert isinstance(results[0], ModelFailedError)
    assert results[1].outputs[0][0, 0] == 0.5


async def test_an_answer_of_another_length_goes_to_nobody_even_where_it_would_fit_one_alone(model):
    model.run = lambda tensors: (np.zeros((1, 1), np.float32),)
    model.batches.append(1)
    made, _ = batcher(model)
    replies = [submit(made, row(i), 1, now() + 1) for i in range(3)]
    results = await asyncio.gather(*replies, return_exceptions=True)
    assert all(isinstance(result, ModelFailedError) for result in results)


async def test_a_request_whose_deadline_passes_is_answered_at_once_though_the_session_is_busy(model):
    made, telemetry = batcher(model, cap=1)
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    begun = now()
    patient, hasty = submit(made, row(1), 1, begun + 1), submit(made, row(2), 1, begun + 0.004)
    with pytest.raises(DeadlineError):
        await hasty
    assert now() - begun == pytest.approx(0.005)
    assert not blocker.done()
    await asyncio.gather(blocker, patient)
    assert model.batches == [1, 1]
    assert telemetry.rejected[DEADLINE] == 1


async def test_a_wedged_session_leaves_nobody_hanging(model):
    class Stuck:
        inline = False

        def start(self, work, done, more):
            pass

    made, _ = batcher(model, Stuck())
    running = submit(made, row(0), 1, now() + 1000)
    await asyncio.sleep(0.001)
    waiting = submit(made, row(1), 1, now() + 1000)
    begun = now()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert all(isinstance(result, UnavailableError) for result in results)
    assert WEDGED_SECONDS - 1 < now() - begun < WEDGED_SECONDS + 10
    assert made.wedged
    assert made.queued_rows == 0
    begun = now()
    with pytest.raises(UnavailableError):
        await submit(made, row(2), 1, now() + 1000)
    assert now() == begun


async def test_a_lower_priority_goes_after_all_who_came_before_and_soon_after(model):
    made, _ = batcher(model, cap=1)
    order = []
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    for name, priority in (("low", 2), ("default", 0), ("lowest", 9), ("high", 1)):
        reply = submit(made, row(1), 1, now() + 1, (), priority)
        reply.add_done_callback(lambda _, name=name: order.append(name))
    await blocker
    await asyncio.sleep(1)
    assert order == ["default", "high", "low", "lowest"]


async def test_a_lower_priority_waits_behind_the_higher_and_not_the_other_way_round(model):
    made, _ = batcher(model)
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    replies = [submit(made, row(i), 1, now() + 1, (), 2) for i in range(8)]
    assert made.predicted_wait(1, 1) < made.predicted_wait(1, 2)
    assert made.predicted_wait(1, 2) == made.predicted_wait(1, 3)
    await asyncio.gather(blocker, *replies)


class Clock:
    """Time as the test says."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


async def test_slow_turns_of_the_event_loop_count_as_waiting_until_it_idles_again(model):
    clock = Clock()
    made, _ = batcher(model, clock=clock)
    alone = LINE.seconds(1)
    assert made.predicted_wait(1) == pytest.approx(alone)
    clock.now += 0.030  # the rest of a turn that reads many sockets
    assert made.predicted_wait(1) == pytest.approx(0.030 + alone)
    await asyncio.sleep(0)
    assert made.predicted_wait(1) == pytest.approx(0.030 + 0.030 + alone)
    await asyncio.sleep(0)
    clock.now += 0.010  # nothing came for a while
    assert made.predicted_wait(1) == pytest.approx(alone)


async def test_a_long_turn_of_the_loop_lets_full_batches_start_before_its_end(model):
    made, _ = batcher(model, LoopRunner())
    replies = [submit(made, row(i), 1, now() + 1) for i in range(9)]
    assert [reply.done() for reply in replies] == [True] * 8 + [False]
    await asyncio.gather(*replies)
    assert model.batches == [4, 4, 1]


async def test_a_long_turn_of_the_loop_lets_a_batch_start_before_it_is_full(model):
    clock = Clock()
    made, _ = batcher(model, LoopRunner(), clock)
    replies = []
    for i in range(3):
        replies.append(submit(made, row(i), 1, 1.0))
        clock.now += 0.004
    assert [reply.done() for reply in replies] == [True, True, False]
    await asyncio.gather(*replies)


async def test_where_the_loop_is_late_as_many_are_taken_as_it_could_hold_in_time(model):
    clock = Clock()
    made, _ = batcher(model, clock=clock, objective_seconds=0.1)
    made.predicted_wait(1)
    clock.now += 0.75  # patience is 0.2 s, of which 0.15 s may be waited for
    waits = [made.predicted_wait(1) for _ in range(100)]
    assert sum(wait < 0.15 for wait in waits) == 20


async def test_a_delay_waits_for_a_fuller_batch_but_not_once_it_is_full(model):
    made, _ = batcher(model, delay_seconds=0.5)
    begun = now()
    replies = [submit(made, row(i), 1, begun + 2) for i in range(3)]
    await asyncio.sleep(0.1)
    replies.append(submit(made, row(3), 1, begun + 2))
    await asyncio.gather(*replies)
    assert now() - begun == pytest.approx(0.1 + LINE.seconds(4))
    begun = now()
    await submit(made, row(1), 1, begun + 2)
    assert now() - begun == pytest.approx(0.5 + LINE.seconds(1))


async def test_shapes_that_differ_never_share_a_batch(model):
    made, _ = batcher(model)
    blocker = submit(made, row(0), 1, now() + 1)
    await asyncio.sleep(0.001)
    wide = (np.ones((1, 3), np.float32),)
    replies = [
        submit(made, row(1), 1, now() + 1, ((1,),)),
        submit(made, wide, 1, now() + 1, ((3,),)),
        submit(made, row(2), 1, now() + 1, ((1,),)),
    ]
    results = await asyncio.gather(blocker, *replies)
    assert model.batches == [1, 2, 1]
    assert results[2].outputs[0].shape == (1, 3)


async def test_the_predicted_wait_grows_with_the_queue(model):
    made, _ = batcher(model)
    assert made.predicted_wait(1) == pytest.approx(LINE.seconds(1))
    replies = [submit(made, row(i), 1, now() + 1) for i in range(9)]
    await asyncio.sleep(0.001)
    queued = 5 * (LINE.alpha / 4 + LINE.beta)
    full = LINE.seconds(4)  # a full batch waits already, so that others will fill the last one too
    assert made.predicted_wait(1) == pytest.approx(LINE.seconds(4) - 0.001 + queued + full)
    await asyncio.gather(*replies)


async def test_on_the_loop_all_requests_of_one_round_share_a_batch(model):
    made, telemetry = batcher(model, LoopRunner())
    replies = [submit(made, row(i), 1, now() + 1) for i in range(4)]
    await asyncio.gather(*replies)
    assert model.batches == [4]
    assert telemetry.batch_rows.count == 1


async def test_a_switched_variant_answers_from_the_next_batch_on(model):
    made, _ = batcher(model)
    before = submit(made, row(1), 1, now() + 1)
    await asyncio.sleep(0.001)
    made.switch(lambda tensors: (tensors[0] * 3,), Line(0.5, 0.25), "second")
    after = submit(made, row(1), 1, now() + 1)
    first, second = await asyncio.gather(before, after)
    assert (first.variant, first.outputs[0][0, 0]) == ("first", 2)
    assert (second.variant, second.outputs[0][0, 0]) == ("second", 3)
