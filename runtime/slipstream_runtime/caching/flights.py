"""One computation for all callers who ask the same at the same time. Pure: the caller tells the time."""

from collections.abc import Callable
from typing import NamedTuple

from slipstream_runtime.errors import DeadlineError
from slipstream_runtime.protocol.reply import Answer, Reply

Compute = Callable[[Reply], None]
"""Begins to compute, for the reply given; raises a ServingError when it cannot."""


class Waiting(NamedTuple):
    """A caller who waits: `compute` would compute for this one alone, up to `deadline`."""

    reply: Reply
    compute: Compute
    deadline: float


class Flights:
    """The computations under way, by key."""

    def __init__(self, clock: Callable[[], float], land: Callable[["Flight", Answer], None]) -> None:
        self.clock = clock
        self.land = land
        self.by_key: dict[bytes, Flight] = {}

    def join(self, key: bytes, caller: Waiting) -> bool:
        """Let `caller` wait for the computation of `key`; return whether there is one that comes in time.

        One that was asked for with a later deadline may be queued behind it, and would come too late. One whose
        callers have all gone is joined too, as long as nobody has asked whether it is `done`, and so dropped it.
        """
        flight = self.by_key.get(key)
        if flight is None or caller.deadline < flight.deadline:
            return False
        flight.callers.append(caller)
        return True

    def depart(self, key: bytes, caller: Waiting, rows: int, variant: str) -> "Flight":
        """Return a new computation of `key`, for `caller` first, which the next callers join."""
        flight = self.by_key[key] = Flight(self, key, caller, rows, variant)
        return flight


class Flight:
    """A computation and its callers. It is a Reply; it is done when it has its answer or all its callers have gone.

    `variant` was asked, which its key stands for; `shared` says that the answer came from another replica.
    """

    __slots__ = ("_flights", "_over", "callers", "deadline", "key", "rows", "shared", "variant")

    def __init__(self, flights: Flights, key: bytes, caller: Waiting, rows: int, variant: str) -> None:
        self._flights = flights
        self._over = False
        self.key = key
        self.rows = rows
        self.variant = variant
        self.shared = False
        self.deadline = caller.deadline
        self.callers = [caller]

    def done(self) -> bool:
        """Return whether nobody needs the computation any more; then nobody can join it either."""
        if self._over:
            return True
        for caller in self.callers:
            if not caller.reply.done():
                return False
        self._end()
        return True

    def set_result(self, answer: Answer, /) -> None:
        """Hand the answer to every caller who is still there."""
        self._end()
        self._flights.land(self, answer)
        for caller in self.callers:
            if not caller.reply.done():
                caller.reply.set_result(answer)

    def set_exception(self, error: Exception, /) -> None:
        """Hand the error to every caller, but for a deadline that was another's: those go on without it."""
        self._end()
        now = self._flights.clock()
        for caller in self.callers:
            if caller.reply.done():
                continue
            if isinstance(error, DeadlineError) and caller.deadline > now:
                self._go_on(caller)
            else:
                caller.reply.set_exception(error)

    def start(self, compute: Compute) -> None:
        """Begin to compute; who cannot begin leaves no computation behind that others could join.

        Raises:
            ServingError: as `compute` does.
        """
        try:
            compute(self)
        except BaseException:
            self._end()
            raise

    def _go_on(self, caller: Waiting) -> None:
        flights = self._flights
        if flights.join(self.key, caller):
            return
        flight = flights.depart(self.key, caller, self.rows, self.variant)
        try:
            flight.start(caller.compute)
        except Exception as error:  # noqa: BLE001  it is the caller's answer, whatever it is
            caller.reply.set_exception(error)

    def _end(self) -> None:
        self._over = True
        if self._flights.by_key.get(self.key) is self:
            del self._flights.by_key[self.key]
