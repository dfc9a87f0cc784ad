"""The operator's own port: probes for everyone, metrics for those who may read them, TLS with a certificate given."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from slipstream_operator.cluster import figures
from slipstream_operator.cluster.certificate import Certificate
from slipstream_operator.cluster.health import Health, HealthServer, Page
from slipstream_operator.cluster.kube import Kube
from slipstream_operator.cluster.readers import PATH, Readers
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.cluster.turns import Turns
from slipstream_operator.errors import MachineError


class Front:
    """Answers on the port while the operator runs; `readiness` counts the AgentDeployments it leads."""

    def __init__(
        self,
        kube: Kube,
        settings: OperatorSettings,
        health: Callable[[], Health],
        readiness: Callable[[], Mapping[str, int]],
        turns: Turns,
    ) -> None:
        self._settings = settings
        self._health = health
        self._readiness = readiness
        self._turns = turns
        self._readers = Readers(kube) if settings.metrics == "Authenticated" else None
        pages: dict[str, Page] = {} if settings.metrics == "Off" else {PATH: self._metrics}
        self._server = HealthServer(health, pages)
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            MachineError: the port is taken, or its certificate cannot be used.
        """
        settings, context = self._settings, None
        if settings.tls_folder:
            certificate = Certificate(Path(settings.tls_folder))
            context = certificate.context
            self._looking = asyncio.create_task(certificate.keep_fresh())
        try:
            await self._server.start(settings.liveness_port, context)
        except OSError as error:
            raise MachineError(
                f"port {settings.liveness_port}: {error.strerror}; choose another with --liveness-port"
            ) from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        await self._server.stop()

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._readers is not None:
            status, words = await self._readers.judge(request.headers.get("Authorization"))
            if status != HTTPStatus.OK:
                challenge = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
                return web.Response(status=status, text=f"{words}\n", headers=challenge)
        page = figures.text(self._health(), self._turns, self._readiness(), figures.this_process())
        return web.Response(text=page, headers={"Content-Type": figures.CONTENT_TYPE})
