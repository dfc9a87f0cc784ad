"""Forms batches without ever letting the session idle while work waits; the rules are in `policy`."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipstream_contract.metrics import DEADLINE
from slipstream_runtime.batching.curve import Line, Shape, ShapedCurves
from slipstream_runtime.batching.deadline_queue import DeadlineQueue, Entry
from slipstream_runtime.batching.execution import Outcome, Run, run_batch
from slipstream_runtime.batching.policy import (
    admissible_wait,
    batch_bound,
    default_patience,
    largest_batch,
    level_of,
    own_seconds,
    shared_seconds,
)
from slipstream_runtime.batching.runners import Runner, Work
from slipstream_runtime.batching.turns import Turns
from slipstream_runtime.errors import DeadlineError, ModelFailedError, ServingError, UnavailableError
from slipstream_runtime.observing.health import WEDGED_SECONDS
from slipstream_runtime.observing.logs import cause
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer, Batch, Reply
from slipstream_runtime.protocol.signature import Tensors

logger = logging.getLogger(__name__)

LONG_SECONDS = 0.005
"""An idle session waits no longer than this for the end of a turn, which reads one more request after the other."""

LATE_SECONDS = 0.001
"""Timers go off this much after the time they are for, as the event loop's clock is no finer."""

WEDGED = "the model does not end its batch, and the replica will be restarted; retry later"
RETRY_SECONDS = 10

SPARE = 16
"""Requests that are admitted without another prediction where the last one left room for many times as many."""

STRETCHING = 0.1
"""The weight of the latest batch in how much longer batches take in a row than they do by themselves."""

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
    run: Run
    variant: str
    curves: ShapedCurves


_Result = tuple[_Running, list[Outcome], float]


class Batcher:
    """Queues requests and runs them together, one batch at a time.

    Everything happens on the event loop, but for a runner's thread that takes its next batch itself: what taking
    touches is guarded by a lock.

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
        largest: int | None = None,
    ) -> None:
        self._rules = rules
        self._runner = runner
        self._telemetry = telemetry
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue = DeadlineQueue(default_patience(rules.objective_seconds))
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._overdue: list[Entry] = []
        self._stretch = 1.0
        self._turns = Turns(admissible_wait(default_patience(rules.objective_seconds), 0))
        self._formed = 0
        self._due = 0.0
        self._delay: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_due = float("inf")
        self._watched = False
        self._reported = float("-inf")
        self.spare = 0
        """One-row requests of the default patience and priority that are surely in time, until this turn ends."""
        self.switch(run, line, variant, largest)

    def switch(self, run: Run, line: Line, variant: str, largest: int | None = None) -> None:
        """Compute from the next batch on with `run`, whose latency is `line`; the running batch ends as it began.

        `largest` is the most rows of a batch that are worth while, none for as many as the rules allow.
        """
        with self._lock:
            self._run, self._variant = run, variant
            self._cap = self._rules.cap if largest is None else min(largest, self._rules.cap)
            self._curves = ShapedCurves(line, self._cap)
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
        running = self._running
        return self.clock() - running.started if running else 0.0

    @property
    def wedged(self) -> bool:
        """Whether the running batch has taken so long that it will not end."""
        return self.running_seconds >= WEDGED_SECONDS

    def predicted_wait(self, rows: int, priority: int = 0) -> float:
        """Return the seconds until a request of `rows`, read now, is predicted to be computed.

        Asked once for each request, it also sees how long the event loop's turns take.
        """
        now = self.clock()
        if self._turns.began is None:
            self._begin_turn(now)
        wait = own_seconds(self.line, rows, self.max_rows)
        if self._queue.rows >= self.max_rows:  # those behind it will fill its batch, which ends as a whole
            wait = max(wait, self.line.seconds(self.max_rows))
        running = self._running
        if running is not None:
            wait += max(0.0, running.expected - (now - running.started))
        if self._queue.rows:
            wait += self._queue.seconds_ahead(level_of(priority)) + max(0, self._queue.shapes - 1) * self.line.alpha
        stretch = max(1.0, self._stretch)
        total = self._turns.wait(now) + stretch * wait
        roomy = total + 2 * SPARE * stretch * self._row_seconds < self._turns.tolerated / 2
        self.spare = SPARE if roomy else 0
        return total

    def submit(
        self, tensors: Tensors, rows: int, deadline: float, reply: Reply, shape: Shape = (), priority: int = 0
    ) -> None:
        """Queue a request; it is not computed when `reply` is done, or `deadline` past, before its batch starts.

        `priority` is 1 for the highest, and 0 for the default, which is the same.
        """
        cost = self._row_seconds * rows if not shape else self._cost(shape, rows)
        now = self.clock()
        rows_waiting = self._queue.rows
        if rows_waiting and self._running is None and (now > self._due or rows_waiting >= self.max_rows):
            self._start_or_delay()  # before this request is queued, so that it is never answered before it returns
        level = 1 if priority <= 1 else level_of(priority)
        with self._lock:
            self._queue.push(Entry(tensors, rows, now, deadline, reply, shape, level, cost))
        if deadline < self._expiry_due:
            self._expire_at(deadline, now)
        if self._running is None:
            if self._turns.began is None:
                self._begin_turn(now)
        elif self._watched and self.wedged:
            self._give_up()

    def _begin_turn(self, now: float) -> None:
        """Note when the first request of this turn of the loop was read, and start a batch at the turn's end.

        So all requests read in one turn share a batch, and no idle session waits for more than that.
        """
        self._turns.begin(now)
        self._due = now + LONG_SECONDS
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        began = self._turns.leave()
        self.spare = 0
        if self._running is None and self._queue.rows:
            self._start_or_delay()
        self._turns.end(began, self.clock())

    def _start_or_delay(self) -> None:
        if self._rules.delay_seconds == 0 or self._queue.rows >= self.max_rows:
            self._start()
        elif self._delay is None:
            self._delay = self._loop.call_later(self._rules.delay_seconds, self._start)

    def _start(self) -> None:
        if self._delay is not None:
            self._delay.cancel()
            self._delay = None
        with self._lock:
            running = self._take()
        self._refuse_overdue()
        if running is None:
            return
        if not self._watched:
            self._watched = True
            self._loop.call_later(WATCH_SECONDS, self._watch)
        self._runner.start(self._work(running), self._finish, self._more)

    def _take(self) -> _Running | None:
        """Make the most urgent requests the running batch, and note the overdue ones for the loop to refuse."""
        now = self.clock()
        self._formed += 1
        self._due = now + LONG_SECONDS
        taken = self._queue.take(now, self._bound)
        self._overdue += taken.expired
        batch = taken.batch
        if not batch:
            self._running = None
            return None
        self._telemetry.queue.observe_all([now - entry.arrived for entry in batch])
        expected = self._curves.line(batch[0].shape).seconds(taken.rows)
        self._running = _Running(batch, taken.rows, now, expected, self._run, self._variant, self._curves)
        return self._running

    def _more(self) -> Work | None:
        """Return the next batch's work, on the runner's thread and at once after the last one."""
        with self._lock:
            last, running = self._running, self._take()
        if running is None:
            return None
        if last is not None and last.expected > 0:
            self._stretch += STRETCHING * ((running.started - last.started) / last.expected - self._stretch)
        return self._work(running)

    def _work(self, running: _Running) -> Callable[[], _Result]:
        # The batch's parts are copied here, so that nothing that happens to an entry later can shift a row.
        tensors, rows = [entry.tensors for entry in running.batch], [entry.rows for entry in running.batch]

        def work() -> _Result:
            begun = self.clock()
            outcomes = run_batch(running.run, tensors, rows, batched=self._rules.batched)
            return running, outcomes, self.clock() - begun

        return work

    def _finish(self, result: _Result) -> None:
        running, outcomes, seconds = result
        if self._running is running:  # the runner has not taken the next batch itself
            self._running = None
            if self._queue.rows and self._runner.inline:
                self._loop.call_soon(self._next)
            elif self._queue.rows:
                self._start()
        self._refuse_overdue()
        failed = self._settle(running, outcomes)
        self._telemetry.computed(running.rows, seconds, len(outcomes))
        if not failed:
            with self._lock:
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

    def _refuse_overdue(self) -> None:
        if self._overdue:
            with self._lock:
                overdue, self._overdue = self._overdue, []
            self._refuse(overdue)

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
        with self._lock:
            expired, earliest = self._queue.expire(now), self._queue.earliest()
        self._refuse(expired)
        self._refuse_overdue()
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
        with self._lock:
            stuck = (*(self._running.batch if self._running else ()), *self._queue.empty())
        for entry in stuck:
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
        return largest_batch(line, self._rules.objective_seconds, self._cap)

    def _bound(self, shape: Shape) -> int:
        line = self._curves.line(shape)
        return batch_bound(line, self._largest(line), self._formed)


def _shown(error: Exception) -> ServingError:
    """Return what the caller may see, one for each caller; the session's own words go to the log only."""
    return ModelFailedError(str(error) if isinstance(error, ServingError) else "the model failed on this request")
