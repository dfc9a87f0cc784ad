"""Many callers on plain sockets, some of whom leave early: whoever is answered must be answered with their own nonces.

One loop over epoll, because the generator has to leave the processors to the replicas.
"""

import random
import select
import time
from collections.abc import Callable, Sequence

from bench.soak.callers import Caller
from bench.soak.counts import Counts
from bench.soak.requests import FIRST_NONCE

LEAVING = 0.01
"""The share of requests after which a caller gives up what is under way instead of waiting for the answer."""

SILENCE_SECONDS = 20.0


class Crowd:
    """Callers of several replicas; who loses their connection calls again on another one."""

    def __init__(self, callers: Sequence[Callable[[int], Caller]], counts: Counts, seed: int) -> None:
        """Each of `callers` connects one, given a seed of its own."""
        self._counts = counts
        self._random = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        self._poll = select.epoll()
        self._callers: dict[int, tuple[Caller, Callable[[int], Caller]]] = {}
        self._nonce = FIRST_NONCE + 4 * counts.sent
        for connect in callers:
            self._add(connect)

    def run(self, until: int, tick: Callable[[], None]) -> None:
        """Send requests until `until` have been sent in all, and take the answers; call `tick` once a second."""
        for descriptor in list(self._callers):
            self._fill(descriptor, until)
        ticked = heard = time.monotonic()
        while self._callers:
            events = self._poll.poll(1.0)
            now = time.monotonic()
            for descriptor, _ in events:
                self._hear(descriptor, until)
            heard = now if events else heard
            if now - ticked >= 1:
                self._counts.seconds += now - ticked
                ticked = now
                tick()
            if now - heard > SILENCE_SECONDS:
                self._counts.silent += sum(caller.under_way for caller, _ in self._callers.values())
                return
        self._counts.seconds += time.monotonic() - ticked

    def close(self) -> None:
        """Close what is left."""
        for caller, _ in self._callers.values():
            caller.socket.close()
        self._poll.close()

    def _add(self, connect: Callable[[int], Caller]) -> int:
        caller = connect(self._random.getrandbits(32))
        descriptor = caller.socket.fileno()
        self._callers[descriptor] = caller, connect
        self._poll.register(descriptor, select.EPOLLIN)
        return descriptor

    def _hear(self, descriptor: int, until: int) -> None:
        caller, connect = self._callers[descriptor]
        if not caller.receive():
            del self._callers[descriptor]  # closing took it out of the poll
            descriptor = self._add(connect)
        self._fill(descriptor, until)

    def _fill(self, descriptor: int, until: int) -> None:
        """Send as many requests as the caller has room for, and sometimes leave; close once none are to be sent."""
        caller, connect = self._callers[descriptor]
        while caller.under_way < caller.together and self._counts.sent < until:
            self._counts.sent += 1
            self._nonce += 4  # more than the rows of a request
            caller.send(self._nonce)
            if self._random.random() < LEAVING and not caller.leave():
                del self._callers[descriptor]
                descriptor = self._add(connect)
                caller, _ = self._callers[descriptor]
        if not caller.under_way:
            del self._callers[descriptor]
            caller.socket.close()
