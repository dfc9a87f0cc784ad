"""The metrics port: `/metrics`, `/livez` and `/readyz`, nothing else."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from slipstream_runtime.rest.exchange import Exchange, Line
from slipstream_runtime.rest.head import Head
from slipstream_runtime.rest.hub import Page
from slipstream_runtime.rest.responses import rest
from slipstream_runtime.rest.waiting import Waiting

TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class State(Protocol):
    """Whether a process, or several together, can serve."""

    @property
    def live(self) -> bool:
        """Whether it still does its work."""
        ...

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        ...


class Probes:
    """Finds the pages of the metrics port; `metrics` gives its text, gathered from every process when asked."""

    def __init__(self, health: State, metrics: Callable[[], Awaitable[bytes]]) -> None:
        self._metrics = metrics
        self._verdicts = {b"/livez": lambda: health.live, b"/readyz": lambda: health.ready}

    def route(self, head: Head) -> Page:
        """Return the page for `head`."""
        if head.method not in {b"GET", b"HEAD"}:
            return lambda line, head: _Plain(line, head, lambda: (405, b"only GET and HEAD\n"))
        if head.target == b"/metrics":
            return lambda line, head: _Metrics(line, head, self._metrics)
        verdict = self._verdicts.get(head.target)
        if verdict is not None:
            return lambda line, head: _Plain(line, head, lambda: (200, b"ok\n") if verdict() else (503, b"no\n"))
        return lambda line, head: _Plain(line, head, lambda: (404, b"see /metrics, /livez and /readyz\n"))


class _Plain(Exchange):
    """Answers with a line of text."""

    __slots__ = ("_answer",)

    def __init__(self, line: Line, head: Head, answer: Callable[[], tuple[int, bytes]]) -> None:
        super().__init__(line, head)
        self._answer = answer

    def receive(self, _body: bytes) -> None:
        """Answer."""
        code, body = self._answer()
        self.finish(code, rest(body, TEXT))


class _Metrics(Waiting):
    """Answers with all metrics."""

    __slots__ = ("_metrics",)

    def __init__(self, line: Line, head: Head, metrics: Callable[[], Awaitable[bytes]]) -> None:
        super().__init__(line, head)
        self._metrics = metrics

    async def work(self, _body: bytes) -> None:
        """Gather and answer."""
        self.finish(200, rest(await self._metrics(), TEXT))
