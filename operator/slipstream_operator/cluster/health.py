"""Whether this process still works: the ages of what must recur, as numbers and as a verdict for the liveness probe."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from aiohttp import web

RESYNC_LIMIT_SECONDS = 300.0
QUEUE_LIMIT_SECONDS = 300.0
WATCH_LIMIT_SECONDS = 240.0
LAG_LIMIT_SECONDS = 10.0
LAG_PERIOD_SECONDS = 1.0

STOP_SECONDS = 2.0
"""How long an ending operator waits for an answer that is being made."""

Page = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True)
class Health:
    """The ages, in seconds; a standby has neither resync nor queue nor watch, so that all are 0 there.

    `watch_age_seconds` is for how long a watch has stood still: it neither told nor tried anything, or owes a change
    that a list has shown. A quiet cluster and an API server that is away are no such thing: a restart mends neither.
    """

    leading: bool
    resync_age_seconds: float
    queue_age_seconds: float
    watch_age_seconds: float
    watch_restarts: int
    loop_lag_seconds: float
    ready: bool = True

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong that a restart may mend."""
        checks = (
            (self.resync_age_seconds, RESYNC_LIMIT_SECONDS, "no resync was tried"),
            (self.queue_age_seconds, QUEUE_LIMIT_SECONDS, "a key has waited for its turn"),
            (self.watch_age_seconds, WATCH_LIMIT_SECONDS, "a watch has stood still"),
            (self.loop_lag_seconds, LAG_LIMIT_SECONDS, "the event loop was blocked"),
        )
        return tuple(f"{words} for {age:.0f} s" for age, limit, words in checks if age > limit)


class LoopLag:
    """Measures by how much the event loop is late."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def measure(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_PERIOD_SECONDS
            await asyncio.sleep(LAG_PERIOD_SECONDS)
            self.seconds = max(0.0, loop.time() - due)


class HealthServer:
    """Answers `/healthz` and `/readyz` with the health as JSON, 200 or 503, and other `pages` by their path.

    `/healthz` fails when something is wrong, `/readyz` also while an operator that leads has yet to see its cluster.
    """

    def __init__(self, read: Callable[[], Health], pages: Mapping[str, Page] = MappingProxyType({})) -> None:
        self._read = read
        self._pages = pages
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen on `port`, with TLS if a context is given; 0 switches the server off."""
        if not port:
            return
        app = web.Application()
        for path, page in {**self._pages, "/healthz": self._is_well, "/readyz": self._is_ready}.items():
            app.router.add_get(path, page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, None, port, ssl_context=tls).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _is_well(self, _: web.Request) -> web.Response:
        health = self._read()
        return _answer(health, bool(health.problems()))

    async def _is_ready(self, _: web.Request) -> web.Response:
        health = self._read()
        return _answer(health, bool(health.problems()) or not health.ready)


def _answer(health: Health, failed: bool) -> web.Response:
    return web.json_response({**asdict(health), "problems": health.problems()}, status=503 if failed else 200)
