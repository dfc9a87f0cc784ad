"""An application that is loaded when first asked for: FastAPI costs 25 MiB and half of a replica's start."""

import asyncio
from collections.abc import Callable

from slipstream_runtime.rest.bridge import App, Receive, Scope, Send


class LateApp:
    """Builds the application on a thread, so that the callers of the model do not wait for it."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._app: App | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        async with self._building:
            if self._app is None:
                self._app = await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)
