"""The metrics port: `/metrics`, `/livez` and `/readyz`, nothing else."""

from collections.abc import Callable

from slipstream_runtime.observing.health import Health
from slipstream_runtime.rest.asgi import Receive, Scope, Send, respond

TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class ProbeApp:
    """A raw ASGI application, so that a scrape costs little beside serving."""

    def __init__(self, health: Health, metrics: Callable[[], bytes]) -> None:
        self._health = health
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one probe or scrape."""
        path = scope["path"]
        if path == "/metrics":
            await respond(send, 200, self._metrics(), TEXT)
        elif path == "/livez":
            await _verdict(send, self._health.live)
        elif path == "/readyz":
            await _verdict(send, self._health.ready)
        else:
            await respond(send, 404, b"not found; see /metrics, /livez and /readyz\n", TEXT)


async def _verdict(send: Send, good: bool) -> None:
    await respond(send, 200 if good else 503, b"ok\n" if good else b"no\n", TEXT)
