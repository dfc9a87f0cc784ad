"""Exchanges that need a task: those off the hot path, which ask others before they answer."""

import asyncio
import logging

from slipstream_runtime.errors import ServingError
from slipstream_runtime.rest.exchange import FAILED, Exchange, Line
from slipstream_runtime.rest.head import Head

logger = logging.getLogger(__name__)


class Waiting(Exchange):
    """Answers from a task, which ends when the caller goes."""

    __slots__ = ("_task",)

    def __init__(self, line: Line, head: Head) -> None:
        super().__init__(line, head)
        self._task: asyncio.Task[None] | None = None

    def receive(self, body: bytes) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(self._run(body))

    def lost(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    async def work(self, body: bytes) -> None:
        """Answer.

        Raises:
            ServingError: what the caller is told instead.
        """
        raise NotImplementedError

    async def _run(self, body: bytes) -> None:
        try:
            await self.work(body)
        except ServingError as error:
            self.fail(error)
        except Exception:
            logger.exception("a request failed inside the replica")
            self.fail(ServingError(FAILED))
