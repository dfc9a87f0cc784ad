"""`slipstream build`: only the build of a manifest, with its progress as lines or as a live view."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from slipstream_contract.progress import Progress
from slipstream_contract.summary import EXIT_CODES, BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import BuildError
from slipstream_operator.local.builds import Builds
from slipstream_operator.local.folder import StateFolder

TICK_SECONDS = 0.5


class View(Protocol):
    """What shows a build's steps."""

    def show_progress(self, elapsed: float, progress: Iterable[Progress]) -> None:
        """Show where the build stands after `elapsed` seconds."""


async def build(spec: AgentSpec, state: Path, view: View) -> BuildSummary:
    """Build the artifact of `spec` below the folder `state`, or find it there, and return its summary.

    Raises:
        BuildError: the builder ended without an artifact.
    """
    folder = StateFolder(state)
    folder.create()
    began = time.monotonic()
    with folder.lock():
        builds = Builds(folder)
        try:
            while (found := builds.observe(spec.recipe)).phase in ("Absent", "Running"):
                await builds.ensure(spec.recipe)
                view.show_progress(time.monotonic() - began, builds.history)
                await asyncio.sleep(TICK_SECONDS)
        finally:
            await builds.stop()
    view.show_progress(time.monotonic() - began, builds.history)
    if found.phase == "Failed" or found.summary is None:
        raise BuildError(found.message, EXIT_CODES[found.summary.reason] if found.summary else 1)
    return found.summary
