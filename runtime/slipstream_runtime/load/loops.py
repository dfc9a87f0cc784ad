"""The two ways to offer load: an open loop that follows a schedule, and a closed loop of so many callers."""

import asyncio
import time
from collections.abc import Callable, Sequence

from slipstream_contract.load import LoadSecond
from slipstream_runtime.load.client import Exchange
from slipstream_runtime.load.schedule import Schedule
from slipstream_runtime.load.tally import Tally
from slipstream_runtime.load.traffic import ENDLESS_SESSIONS, SHORT_SESSIONS, Address, Traffic

MOST_OUTSTANDING = 4096
"""Requests under way at once; what is due beyond it is counted as failed, so that memory stays bounded."""

TICK_SECONDS = 0.001
"""The event loop's timers are this coarse; asking for less makes them spin."""

TIMER_SECONDS = 2.5 * TICK_SECONDS
"""A request sent no later than this counts from its sending, a later one from when it was due, so that a slow server
is charged for the wait and the timer is not."""

BURST = 32
"""So many overdue requests leave before answers are read again."""

STOP_SECONDS = 0.2
"""A gap in the schedule is slept through in pieces this long, so that a signal ends it soon."""

Emit = Callable[[LoadSecond], None]


class Meter:
    """Counts by second, and hands each second on."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._second = Tally()
        self.total = Tally()
        self.begun = time.perf_counter()

    def offered(self) -> None:
        """Count a request that is due."""
        self._second.offered += 1

    def ended(self, exchange: Exchange, code: int) -> None:
        """Count a request's end."""
        late = exchange.sent - exchange.due > TIMER_SECONDS
        start = exchange.due if late else exchange.sent
        self._second.ended(code, time.perf_counter() - start)

    async def tick(self, traffic: Traffic) -> None:
        """Hand on each second as it ends, for ever."""
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self.begun + number - time.perf_counter()))
            self.flush(float(number))
            traffic.sweep()

    def flush(self, second: float) -> None:
        """Hand on what was counted up to `second`."""
        ended, self._second = self._second, Tally()
        self._emit(ended.second(second))
        self.total.merge(ended)


async def open_loop(
    address: Address, requests: Sequence[bytes], schedule: Schedule, seed: int, emit: Emit, stop: asyncio.Event
) -> Tally:
    """Offer requests at the times of `schedule`, whether or not earlier ones are answered."""
    meter = Meter(emit)
    traffic = Traffic(address, seed, SHORT_SESSIONS, meter.ended)
    ticking = asyncio.create_task(meter.tick(traffic))
    try:
        now = 0.0
        for number, arrival in enumerate(schedule.arrivals(seed)):
            due = meter.begun + arrival
            # What one tick makes due leaves together: a pass through the event loop costs as much as a request.
            if due > now or number % BURST == 0:
                if await _stopped_before(due, stop):
                    break
                now = time.perf_counter()
            meter.offered()
            exchange = Exchange(requests[number % len(requests)], due)
            if traffic.outstanding < MOST_OUTSTANDING:
                traffic.send(exchange)
            else:
                meter.ended(exchange, 0)
        await _finish(meter, traffic, meter.begun + schedule.seconds, stop)
    finally:
        ticking.cancel()
        traffic.close()
    return meter.total


async def closed_loop(
    address: Address, requests: Sequence[bytes], callers: int, seconds: float, emit: Emit, stop: asyncio.Event
) -> tuple[Tally, float]:
    """Keep `callers` requests under way for `seconds`; return the totals and the seconds it took."""
    meter = Meter(emit)
    sent = 0

    def again(exchange: Exchange, code: int) -> None:
        meter.ended(exchange, code)
        if code == 200:
            offer()
        else:  # a server that refuses at once must not turn this loop into a spin
            asyncio.get_running_loop().call_later(0.01, offer)

    def offer() -> None:
        nonlocal sent
        if stop.is_set() or time.perf_counter() >= meter.begun + seconds:
            return
        sent += 1
        meter.offered()
        traffic.send(Exchange(requests[sent % len(requests)], time.perf_counter()))

    traffic = Traffic(address, 0, ENDLESS_SESSIONS, again)
    ticking = asyncio.create_task(meter.tick(traffic))
    try:
        for _ in range(callers):
            offer()
        await _finish(meter, traffic, meter.begun + seconds, stop)
    finally:
        ticking.cancel()
        traffic.close()
    return meter.total, time.perf_counter() - meter.begun


async def _stopped_before(due: float, stop: asyncio.Event) -> bool:
    await asyncio.sleep(0)  # answers are read even while requests are overdue
    while not stop.is_set():
        wait = due - time.perf_counter()
        if wait <= 0:
            return False
        await asyncio.sleep(min(max(wait, TICK_SECONDS), STOP_SECONDS))
    return True


async def _finish(meter: Meter, traffic: Traffic, end: float, stop: asyncio.Event) -> None:
    """Wait for the end of the load and its last answers, and hand on what is left of the last second."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping}, timeout=max(0.0, end - time.perf_counter()))
    quiet = asyncio.create_task(traffic.quiet())
    await asyncio.wait({stopping, quiet}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    quiet.cancel()
    meter.flush(round(time.perf_counter() - meter.begun, 3))
