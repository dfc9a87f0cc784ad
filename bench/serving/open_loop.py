"""Open-loop load: `python -m bench.serving.open_loop PORT REQUESTS SECONDS:RATE,... DEADLINE_MILLISECONDS`.

Requests leave when a Poisson process says so, whether or not others are answered, over connections opened before; a
latency counts from when the request was due. One loop over epoll and plain sockets, because the generator has to
leave the processors to the server. Prints a JSON list, one record for each second of the schedule.
"""

import gc
import json
import math
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np

CONNECTIONS = 512
TICK_SECONDS = 0.001
"""epoll's clock counts milliseconds; what falls due meanwhile leaves together, and its latency includes the wait."""

GIVE_UP_SECONDS = 2.0
"""A request that found no free connection for so long after it was due is not sent."""

END_SECONDS = 5.0
_GROWTH = 1.02


@dataclass
class Second:
    """What became of the requests that were due in one second; `late` answers came after the deadline.

    `accepted` and `refusals` count latencies by their upper edge in milliseconds, in steps of 2 %.
    """

    offered: int = 0
    sent: int = 0
    answered: int = 0
    late: int = 0
    refused: int = 0
    failed: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)


class Generator:
    """Sends and receives; `run` is the whole of it."""

    def __init__(self, port: int, requests: list[bytes], schedule: list[tuple[float, float]]) -> None:
        self._port, self._requests = port, requests
        self._due = arrivals(schedule)
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._idle: list[int] = []
        self._sent_as: dict[int, int] = {}
        self._parts: dict[int, bytes] = {}
        self.outcomes: list[tuple[int, int, float]] = []
        """Of each request that was sent: its number, HTTP code or 0, and latency in seconds."""
        for _ in range(CONNECTIONS):
            self._connect()

    def run(self) -> tuple[list[float], list[tuple[int, int, float]]]:
        """Offer the whole schedule; return when each request was due, and the outcomes."""
        due, total, number = self._due, len(self._due), 0
        origin = time.perf_counter() + 0.05
        last = due[-1] + END_SECONDS
        while number < total or self._sent_as:
            now = time.perf_counter() - origin
            if now > last:
                break
            number = self._send(number, now)
            for descriptor, _ in self._poll.poll(self._wait(number, now)):
                self._receive(descriptor, origin)
        self.outcomes += [(request, 0, END_SECONDS) for request in self._sent_as.values()]
        return due, self.outcomes

    def _wait(self, number: int, now: float) -> float:
        if number >= len(self._due) or not self._idle:
            return 0.01
        return max(TICK_SECONDS, self._due[number] - now)

    def _send(self, number: int, now: float) -> int:
        """Send all that is due and finds a connection; return the next request's number."""
        due, idle, requests, count = self._due, self._idle, self._requests, len(self._requests)
        while number < len(due) and due[number] <= now:
            if not idle:
                if now - due[number] < GIVE_UP_SECONDS:
                    break
                number += 1
                continue
            descriptor = idle.pop()
            self._sent_as[descriptor] = number
            try:
                self._sockets[descriptor].send(requests[number % count])
            except OSError:
                self._lost(descriptor)
            number += 1
        return number

    def _receive(self, descriptor: int, origin: float) -> None:
        try:
            data = self._sockets[descriptor].recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(descriptor)
            return
        if descriptor in self._parts:
            data = self._parts.pop(descriptor) + data
        if not whole(data):
            self._parts[descriptor] = data
            return
        number = self._sent_as.pop(descriptor, None)
        if number is not None:
            latency = time.perf_counter() - origin - self._due[number]
            self.outcomes.append((number, int(data[9:12]), latency))
            self._idle.append(descriptor)

    def _lost(self, descriptor: int) -> None:
        number = self._sent_as.pop(descriptor, None)
        if number is not None:
            self.outcomes.append((number, 0, 0.0))
        self._parts.pop(descriptor, None)
        self._poll.unregister(descriptor)
        self._sockets.pop(descriptor).close()
        if descriptor in self._idle:
            self._idle.remove(descriptor)
        self._connect()

    def _connect(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._sockets[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)
        self._idle.append(connection.fileno())


def arrivals(schedule: list[tuple[float, float]]) -> list[float]:
    """Return when requests are due, in seconds: a Poisson process of these (seconds, requests a second). Seeded."""
    random, found, start = np.random.default_rng(0), [], 0.0
    for seconds, rate in schedule:
        count = int(random.poisson(rate * seconds))
        found += (start + np.sort(random.random(count)) * seconds).tolist()
        start += seconds
    return found


def whole(data: bytes) -> bool:
    """Return whether `data` is a whole HTTP answer."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    length = head[at + 17 :].split(b"\r\n", 1)[0] if at >= 0 else b"0"
    return len(data) >= end + 4 + int(length)


def by_second(
    due: list[float], outcomes: list[tuple[int, int, float]], seconds: int, deadline_seconds: float
) -> list[Second]:
    """Return what became of the requests, by the second in which they were due. Pure."""
    found = [Second() for _ in range(seconds)]
    for moment in due:
        found[min(int(moment), seconds - 1)].offered += 1
    edges = [f"{edge:.4g}" for edge in accumulate([0.05] + [_GROWTH] * 700, lambda edge, growth: edge * growth)]
    for number, code, latency in outcomes:
        second = found[min(int(due[number]), seconds - 1)]
        second.sent += 1
        place = int(max(0.0, math.log(max(latency, 1e-6) / 5e-5) / math.log(_GROWTH))) + 1
        edge = edges[min(place, len(edges) - 1)]
        if code == 200:
            second.answered += 1
            second.late += latency > deadline_seconds
            second.accepted[edge] = second.accepted.get(edge, 0) + 1
        elif code in {429, 503}:
            second.refused += 1
            second.refusals[edge] = second.refusals.get(edge, 0) + 1
        else:
            second.failed += 1
    return found


def read_requests(path: Path) -> list[bytes]:
    """Return the requests of a file that was written for wrk."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        line = data.index(b"\n", at)
        size = int(data[at:line])
        found.append(data[line + 1 : line + 1 + size])
        at = line + 1 + size
    return found


def main() -> None:
    """Offer the load that the arguments name."""
    port, path, text, deadline = sys.argv[1:5]
    schedule = [(float(seconds), float(rate)) for seconds, rate in (part.split(":") for part in text.split(","))]
    generator = Generator(int(port), read_requests(Path(path)), schedule)
    gc.disable()
    due, outcomes = generator.run()
    gc.enable()
    seconds = int(sum(length for length, _ in schedule))
    print(json.dumps([asdict(second) for second in by_second(due, outcomes, seconds, float(deadline) / 1000)]))


if __name__ == "__main__":
    main()
