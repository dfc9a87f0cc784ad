"""Runs the builder as a process, and remembers how the build of each recipe ended."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

from slipstream_contract import codec, names
from slipstream_contract.errors import ContractError
from slipstream_contract.progress import Progress
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import EXIT_CODES, BuildSummary, Reason
from slipstream_operator.local import processes
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.processes import Child
from slipstream_operator.reconcile.observation import Build
from slipstream_operator.reconcile.revisions import KEPT, Revision

STOP_SECONDS = 20.0

_REASONS: dict[int, Reason] = {EXIT_CODES[reason]: reason for reason in ("OutOfDisk", "OutOfTime")}
"""What an exit code alone tells, when the disk was too full for a summary."""


class Builds:
    """The builds of one state folder: at most one runs."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._child: Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._recipe = ""
        self._ended: dict[str, Build] = {}
        self.history: list[Progress] = []

    def observe(self, recipe: Recipe) -> Build:
        """Return how the build of `recipe` stands."""
        if self._running and self._recipe == recipe.digest:
            latest = self.history[-1].message if self.history else "starting the builder"
            return Build("Running", latest)
        if recipe.digest not in self._ended:
            self._ended |= self._from_store(recipe.digest)
        return self._ended.get(recipe.digest, Build("Absent"))

    def revisions(self) -> tuple[Revision, ...]:
        """Return the builds whose artifacts are in the store, the newest first."""
        files = (self._folder.store / names.RECIPES_FOLDER).glob("*.json")
        newest = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)[:KEPT]
        found = ((file, self._from_store(file.stem).get(file.stem)) for file in newest)
        return tuple(
            Revision(build.summary, datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            for file, build in found
            if build is not None and build.summary is not None
        )

    async def ensure(self, recipe: Recipe) -> None:
        """Start the build of `recipe` unless it runs; a build of another recipe is ended first."""
        if self._running and self._recipe == recipe.digest:
            return
        await self.stop()
        self.history.clear()
        self._recipe = recipe.digest
        arguments = self._arguments(recipe)
        self._child = await processes.start(arguments, self._log, pipe=True)
        self._reader = asyncio.create_task(self._follow(self._child))

    async def stop(self) -> None:
        """End the running build, if any."""
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)
        if self._reader is not None:
            await self._reader
        self._child = self._reader = None

    @property
    def _running(self) -> bool:
        return self._reader is not None and not self._reader.done()

    @property
    def _log(self) -> Path:
        return self._folder.logs / "build.log"

    @property
    def _summary_file(self) -> Path:
        return self._folder.root / "summary.json"

    def _arguments(self, recipe: Recipe) -> list[str]:
        self._summary_file.unlink(missing_ok=True)
        recipe_file = self._folder.root / "recipe.json"
        recipe_file.write_bytes(codec.canonical_json(recipe))
        return [
            "slipstream_builder",
            "build",
            f"--recipe={recipe_file}",
            f"--store={self._folder.store}",
            f"--summary={self._summary_file}",
        ]

    async def _follow(self, child: Child) -> None:
        async for line in child.stdout:
            with contextlib.suppress(ContractError):
                if (progress := Progress.from_line(line.decode("utf-8", "replace").rstrip())) is not None:
                    self.history.append(progress)
        code = await child.wait()
        self._ended[self._recipe] = self._outcome(code, child)

    def _outcome(self, code: int, child: Child) -> Build:
        with contextlib.suppress(OSError, ContractError):
            summary = BuildSummary.from_json(self._summary_file.read_text())
            return Build("Succeeded" if summary.succeeded else "Failed", summary.message, summary)
        line = child.last_line() or "no output"
        message = f"the builder ended with status {code} ({line}); see {self._log}"
        reason = _REASONS.get(code, "Internal")
        return Build("Failed", message, BuildSummary(reason, message, self._recipe))

    def _from_store(self, recipe_digest: str) -> dict[str, Build]:
        file = self._folder.store / names.RECIPES_FOLDER / f"{recipe_digest}.json"
        with contextlib.suppress(OSError, ContractError):
            summary = BuildSummary.from_json(file.read_text())
            artifact = self._folder.store / names.artifact_folder(summary.artifact_digest or "")
            if summary.succeeded and artifact.is_dir():
                return {recipe_digest: Build("Succeeded", summary.message, summary)}
        return {}
