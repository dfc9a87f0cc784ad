"""Forms batches without ever letting the session idle while work waits; the rules are in `policy`."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipstream_runtime.batching.curve import Line, RefittedCurve
from slipstream_runtime.batching.deadline_queue import DeadlineQueue, Entry, Shape
from slipstream_runtime.batching.execution import Outcome, Run, run_batch
from slipstream_runtime.batching.policy import largest_batch, predicted_wait
from slipstream_runtime.batching.runners import Runner
from slipstream_runtime.errors import DeadlineError, ModelFailedError, ServingError
from slipstream_runtime.observing.telemetry import DEADLINE, Telemetry
from slipstream_runtime.protocol.reply import Answer, Reply
from slipstream_runtime.protocol.signature import Tensors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchRules:
    """How batches are bounded: `cap` rows at most, and `delay_seconds` of waiting for a fuller first batch."""

    objective_seconds: float
    cap: int
    delay_seconds: float = 0.0
    batched: bool = True


@dataclass(slots=True)
class _Running:
    batch: list[Entry]
    rows: int
    started: float
    variant: str


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
        self._queue = DeadlineQueue()
        self._running: _Running | None = None
        self._wake: asyncio.Handle | None = None
        self._waiting_for_more = False
        self.switch(run, line, variant)

    def switch(self, run: Run, line: Line, variant: str) -> None:
        """Compute from the next batch on with `run`, whose latency is `line`; the running batch ends as it began."""
        self._run, self._variant = run, variant
        self.curve = RefittedCurve(line, self._rules.cap)
        self.max_rows = self._bound()

    @property
    def queued_rows(self) -> int:
        """Rows that wait for a batch."""
        return self._queue.rows

    @property
    def line(self) -> Line:
        """The batch latency as refitted so far."""
        return self.curve.line

    @property
    def running_seconds(self) -> float:
        """How long the running batch has taken, zero when the session is idle."""
        return self.clock() - self._running.started if self._running else 0.0

    def predicted_wait(self, rows: int) -> float:
        """Return the seconds until a request of `rows`, sent now, is predicted to be computed."""
        left = 0.0
        if self._running is not None:
            left = max(0.0, self.curve.line.seconds(self._running.rows) - self.running_seconds)
        return predicted_wait(self.curve.line, self._queue.rows + rows, self.max_rows, left)

    def submit(
        self, tensors: Tensors, rows: int, deadline: float, reply: Reply, shape: Shape = (), priority: int = 0
    ) -> None:
        """Queue a request; it is not computed when `reply` is done before its batch starts."""
        self._queue.push(Entry(tensors, rows, self.clock(), deadline, reply, shape, priority))
        if self._running is None:
            self._wake_up(self._rules.delay_seconds)

    def _wake_up(self, delay: float) -> None:
        """Start a batch in the loop's next round, so that all requests read in this one are in it."""
        full = self._queue.rows >= self.max_rows
        if self._wake is not None:
            if not (full and self._waiting_for_more):
                return
            self._wake.cancel()
        self._waiting_for_more = delay > 0 and not full
        if self._waiting_for_more:
            self._wake = self._loop.call_later(delay, self._start)
        else:
            self._wake = self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._wake = None
        now = self.clock()
        taken = self._queue.take(now, self.max_rows)
        for entry in taken.expired:
            self._telemetry.rejected[DEADLINE] += 1
            _fail(entry, DeadlineError("the deadline passed while the request waited; retry later"))
        if not taken.batch:
            return
        for entry in taken.batch:
            self._telemetry.queue.observe(now - entry.arrived)
        self._running = _Running(taken.batch, taken.rows, now, self._variant)
        self._runner.start(self._work(taken.batch), self._finish)

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
        self._settle(running, outcomes)
        self._telemetry.computed(running.rows, seconds, len(running.batch))
        if running.variant == self._variant and not any(isinstance(outcome, Exception) for outcome in outcomes):
            self.curve.observe(running.rows, seconds)
            self.max_rows = self._bound()
        if self._queue.rows:
            self._wake_up(0.0)

    def _settle(self, running: _Running, outcomes: Sequence[Outcome]) -> None:
        for entry, outcome in zip(running.batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(entry, _shown(outcome))
            elif not entry.reply.done():
                entry.reply.set_result(Answer(outcome, running.variant))

    def _bound(self) -> int:
        if not self._rules.batched:
            return 1
        return largest_batch(self.curve.line, self._rules.objective_seconds, self._rules.cap)


def _fail(entry: Entry, error: ServingError) -> None:
    if not entry.reply.done():
        entry.reply.set_exception(error)


def _shown(error: Exception) -> ServingError:
    """Return what the caller may see; the session's own words go to the log only."""
    if isinstance(error, ServingError):
        return error
    logger.error("the session failed on one request: %.300s", str(error).replace("\n", " "))
    return ModelFailedError("the model failed on this request")
