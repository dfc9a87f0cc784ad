"""Switches the replica to another of its variants, between two batches."""

import asyncio
import logging
from collections.abc import Callable

from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.execution import Run
from slipstream_runtime.errors import StartError
from slipstream_runtime.model.variants import ModelSet, ReadyVariant

logger = logging.getLogger(__name__)


class Switch:
    """Loads the variant asked for, aside if need be, and puts it into the batcher's hands; the last wish counts."""

    def __init__(
        self, models: ModelSet, batcher_switch: Callable[[Run, Line, str, int], None], switched: Callable[[str], None]
    ) -> None:
        """`switched` is told the name of every variant that begins to answer."""
        self._models = models
        self._batcher_switch = batcher_switch
        self._switched = switched
        self._wanted = models.current.name
        self._task: asyncio.Task[None] | None = None

    def to(self, name: str) -> None:
        """Switch to the variant `name`; where it cannot be had, say so in the log and serve on as before."""
        self._wanted = name
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        refused = None
        while self._wanted not in (self._models.current.name, refused):
            name = self._wanted
            try:
                self._take(await asyncio.to_thread(self._models.get, name))
            except KeyError as error:
                logger.warning("--variant-file: %s; serving on with %s", error.args[0], self._models.current.name)
                refused = name
            except StartError as error:
                logger.error("%s; serving on with %s", error, self._models.current.name)
                refused = name

    def _take(self, variant: ReadyVariant) -> None:
        before = self._models.current.name
        self._batcher_switch(variant.run, variant.line, variant.name, variant.largest)
        self._models.switched(variant)
        self._switched(variant.name)
        logger.info("variant %s answers from now on, in place of %s", variant.name, before)
