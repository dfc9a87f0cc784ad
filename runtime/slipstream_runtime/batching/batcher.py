"""Forms batches without ever letting the session idle while work waits; the rules are in `policy`."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipstream_contract.metrics import DEADLINE
from slipstream_runtime.batching.curve import Line, Shape, ShapedCurves
from slipstream_runtime.batching.deadline_queue import DeadlineQueue, Entry
from slipstream_runtime.batching.execution import Outcome, Run, run_batch
from slipstream_runtime.batching.policy import (
    batch_bound,
    default_patience,
    largest_batch,
    level_of,
    loop_wait,
    own_seconds,
    shared_seconds,
)
from slipstream_runtime.batching.runners import Runner
from slipstream_runtime.errors import DeadlineError, ModelFailedError, ServingError, UnavailableError
from slipstream_runtime.observing.health import WEDGED_SECONDS
from slipstream_runtime.observing.logs import cause
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer, Batch, Reply
from slipstream_runtime.protocol.signature import Tensors

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.001
"""A pause between two turns of the loop from which on it had nothing to do, so that no request was waiting for it."""

LATE_SECONDS = 0.001
"""Timers go off this much after the time they are for, as the event loop's clock is no finer."""

WEDGED = "the model does not end its batch, and the replica will be restarted; retry later"
RETRY_SECONDS = 10

WATCH_SECONDS = 5.0
"""How often a running batch is looked at for being wedged."""


@dataclass(frozen=True)
class BatchRules:
    """How batches are bounded: `cap` rows at most, and `delay_seconds` of waiting for a fuller first batch."""

    objective_seconds: float
    cap: int
    delay_seconds: float = 0.0
    batched: bool = True


@dataclass(slots=True)
class _Running:
    """The batch in the session, as it was when it started: a switch or a cancelled caller changes nothing of it."""

    batch: list[Entry]
    rows: int
    started: float
    expected: float
    variant: str
    curves: ShapedCurves


class Batcher:
    """Queues requests and runs them together, one batch at a time.

    `clock` gives deadlines their meaning; the event loop's own is no finer than a millisecond under uvloop.
    """

    def __init__(
        self,
        run: Run,
        line: Line,
        variant: str,
        rules: BatchRules,
        runner: Runner,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._runner = runner
        self._telemetry = telemetry
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue = DeadlineQueue(default_patience(rules.objective_seconds))
        self._running: _Running | None = None
        self._formed = 0
        self._delay: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_due = float("inf")
        self._watched = False
        self._reported = float("-inf")
        self._turn_began: float | None = None
        self._turn_ended = float("-inf")
        self._last_turn = 0.0
        self._lag = 0.0
        self.switch(run, line, variant)

    def switch(self, run: Run, line: Line, variant: str) -> None:
        """Compute from the next batch on with `run`, whose latency is `line`; the running batch ends as it began."""
        self._run, self._variant = run, variant
        self._curves = ShapedCurves(line, self._rules.cap)
        self._measured(self._curves)

    @property
    def queued_rows(self) -> int:
        """Rows that wait for a batch."""
        return self._queue.rows

    @property
    def queued_requests(self) -> int:
        """Requests that wait for a batch."""
        return len(self._queue)

    @property
    def line(self) -> Line:
        """The batch latency over all shapes, as refitted so far."""
        return self._curves.overall.line

    @property
    def running_seconds(self) -> float:
        """How long the running batch has taken, zero when the session is idle."""
        return self.clock() - self._running.started if self._running else 0.0

    @property
    def wedged(self) -> bool:
        """Whether the running batch has taken so long that it will not end."""
        return self.running_seconds >= WEDGED_SECONDS

    def predicted_wait(self, rows: int, priority: int = 0) -> float:
        """Return the seconds until a request of `rows`, read now, is predicted to be computed.

        Asked once for each request, it also sees how long the event loop's turns take.
        """
        now = self.clock()
        if self._turn_began is None:
            self._begin_turn(now)
            elapsed = 0.0
        else:
            elapsed = now - self._turn_began
        wait = loop_wait(self._lag, elapsed) + own_seconds(self.line, rows, self.max_rows)
        if self._running is not None:
            wait += max(0.0, self._running.expected - (now - self._running.started))
        if self._queue.rows:
            wait += self._queue.seconds_ahead(level_of(priority)) + (self._queue.shapes - 1) * self.line.alpha
        return wait

    def submit(
        self, tensors: Tensors, rows: int, deadline: float, reply: Reply, shape: Shape = (), priority: int = 0
    ) -> None:
        """Queue a request; it is not computed when `reply` is done, or `deadline` past, before its batch starts.

        `priority` is 1 for the highest, and 0 for the default, which is the same.
        """
        cost = self._row_seconds * rows if not shape else self._cost(shape, rows)
        now = self.clock()
        level = 1 if priority <= 1 else level_of(priority)
        self._queue.push(Entry(tensors, rows, now, deadline, reply, shape, level, cost))
        if deadline < self._expiry_due:
            self._expire_at(deadline, now)
        if self._running is None:
            if self._turn_began is None:
                self._begin_turn(now)
        elif self._watched and self.wedged:
            self._give_up()

    def _begin_turn(self, now: float) -> None:
        """Note when the first request of this turn of the loop was read, and start a batch at the turn's end.

        So all requests read in one turn share a batch, and no idle session waits for more than that.
        """
        self._lag = self._last_turn if now - self._turn_ended < IDLE_SECONDS else 0.0
        self._turn_began = now
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        began, self._turn_began = self._turn_began, None
        if self._running is None and self._queue.rows:
            self._start_or_delay()
        self._turn_ended = self.clock()
        self._last_turn = self._turn_ended - (self._turn_ended if began is None else began)

    def _start_or_delay(self) -> None:
        if self._rules.delay_seconds == 0 or self._queue.rows >= self.max_rows:
            self._start()
        elif self._delay is None:
            self._delay = self._loop.call_later(self._rules.delay_seconds, self._start)

    def _start(self) -> None:
        if self._delay is not None:
            self._delay.cancel()
            self._delay = None
        now = self.clock()
        self._formed += 1
        taken = self._queue.take(now, self._bound)
        self._refuse(taken.expired)
        batch = taken.batch
        if not batch:
            return
        observe = self._telemetry.queue.observe
        for entry in batch:
            observe(now - entry.arrived)
        expected = self._curves.line(batch[0].shape).seconds(taken.rows)
        self._running = _Running(batch, taken.rows, now, expected, self._variant, self._curves)
        if not self._watched:
            self._watched = True
            self._loop.call_later(WATCH_SECONDS, self._watch)
        self._runner.start(self._work(batch), self._finish)

    def _work(self, batch: list[Entry]) -> Callable[[], tuple[list[Outcome], float]]:
        # The batch's parts are copied here, so that nothing that happens to an entry later can shift a row.
        run, tensors, rows = self._run, [entry.tensors for entry in batch], [entry.rows for entry in batch]

        def work() -> tuple[list[Outcome], float]:
            begun = self.clock()
            outcomes = run_batch(run, tensors, rows, batched=self._rules.batched)
            return outcomes, self.clock() - begun

        return work

    def _finish(self, result: tuple[list[Outcome], float]) -> None:
        running, self._running = self._running, None
        if running is None:
            raise RuntimeError("a batch ended that was never started")
        outcomes, seconds = result
        if self._queue.rows:
            if self._runner.inline:
                self._loop.call_soon(self._next)
            else:  # first of all, so that the session computes while the loop hands out the answers
                self._start()
        failed = self._settle(running, outcomes)
        self._telemetry.computed(running.rows, seconds, len(outcomes))
        if not failed:
            running.curves.observe(running.batch[0].shape, running.rows, seconds)
            if running.curves is self._curves:
                self._measured(running.curves)

    def _next(self) -> None:
        if self._running is None and self._queue.rows:
            self._start()

    def _settle(self, running: _Running, outcomes: Sequence[Outcome]) -> int:
        """Hand each caller its own outcome; return how many failed."""
        failed = 0
        variant, batch = running.variant, Batch(running.rows, running.started, self.clock())
        for entry, outcome in zip(running.batch, outcomes, strict=True):
            reply = entry.reply
            try:
                if isinstance(outcome, Exception):
                    failed += 1
                    if failed == 1:
                        self._report(outcome)
                    if not reply.done():
                        reply.set_exception(_shown(outcome))
                elif not reply.done():
                    reply.set_result(Answer(outcome, variant, batch))
            except Exception:  # one caller's transport must not cost the others their answers
                logger.exception("an answer could not be handed over")
        return failed

    def _report(self, error: Exception) -> None:
        """Log a failure of the session, but no more than one a second: callers decide how many there are."""
        now = self.clock()
        if now - self._reported >= 1:
            self._reported = now
            logger.error("the session failed on a request: %s", cause(error))

    def _refuse(self, expired: Sequence[Entry]) -> None:
        for entry in expired:
            self._telemetry.rejected[DEADLINE] += 1
            if not entry.reply.done():
                entry.reply.set_exception(DeadlineError("the deadline passed while the request waited; retry later"))

    def _expire_at(self, deadline: float, now: float) -> None:
        """Set the one timer that answers requests whose deadline passes while they wait, busy session or not."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry_due = deadline
        self._expiry = self._loop.call_later(max(0.0, deadline - now) + LATE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._expiry, self._expiry_due = None, float("inf")
        now = self.clock()
        self._refuse(self._queue.expire(now))
        earliest = self._queue.earliest()
        if earliest is not None:
            self._expire_at(earliest, now)

    def _watch(self) -> None:
        """Look at the running batch now and then while there is one."""
        if self._running is None:
            self._watched = False
            return
        if self.wedged:
            self._give_up()
        self._loop.call_later(WATCH_SECONDS, self._watch)

    def _give_up(self) -> None:
        """Answer all who wait for a session that will not end its batch; the liveness probe has failed by now."""
        if self._running is None:
            return
        for entry in (*self._running.batch, *self._queue.empty()):
            if not entry.reply.done():
                entry.reply.set_exception(UnavailableError(WEDGED, RETRY_SECONDS))

    def _measured(self, curves: ShapedCurves) -> None:
        line = curves.overall.line
        self.max_rows = self._largest(line)
        self._row_seconds = shared_seconds(line, 1, self.max_rows)

    def _cost(self, shape: Shape, rows: int) -> float:
        line = self._curves.line(shape)
        return shared_seconds(line, rows, self._largest(line))

    def _largest(self, line: Line) -> int:
        if not self._rules.batched:
            return 1
        return largest_batch(line, self._rules.objective_seconds, self._rules.cap)

    def _bound(self, shape: Shape) -> int:
        line = self._curves.line(shape)
        return batch_bound(line, self._largest(line), self._formed)


def _shown(error: Exception) -> ServingError:
    """Return what the caller may see, one for each caller; the session's own words go to the log only."""
    return ModelFailedError(str(error) if isinstance(error, ServingError) else "the model failed on this request")
