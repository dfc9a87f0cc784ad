"""`slipstream up`: reconciles one deployment on this machine until it is told to end, or until its load has run."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from slipstream_contract import names
from slipstream_contract.summary import EXIT_CODES
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import BuildError
from slipstream_operator.local import processes
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.frame import Frame
from slipstream_operator.local.load import Loader, LoadSettings, peak_rate, processors
from slipstream_operator.local.record import LoadRecord, Result, read_manifest
from slipstream_operator.local.replicas import listen
from slipstream_operator.local.world import LocalWorld
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.plan import Plan, plan
from slipstream_operator.scaling.tuning import FAST

TICK_SECONDS = 1.0
DRAIN_SECONDS = 15.0


class View(Protocol):
    """How a run is shown: live in a terminal, or line by line."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, frame: Frame) -> None:
        """Show one moment."""


@dataclass(frozen=True)
class UpSettings:
    """Where to keep state, where to listen, and whether and how to load the deployment once it serves."""

    state: Path
    host: str
    port: int
    load: LoadSettings | None = None


async def up(spec: AgentSpec, settings: UpSettings, view: View) -> Result | None:
    """Build, serve and scale `spec`; return the result of the load, where one was asked for.

    Raises:
        SlipstreamError: the build failed with nothing to serve, or this machine lacks something.
    """
    folder = StateFolder(settings.state)
    folder.create()
    folder.ensure_token()
    with folder.lock(), listen(settings.host, settings.port) as listener, view:
        world = LocalWorld(spec, folder, listener)
        try:
            return await Run(world, folder, settings, view).until_done()
        finally:
            await world.close(DRAIN_SECONDS)


class Run:
    """One run of `slipstream up`: the reconcile loop, with the load beside it."""

    def __init__(self, world: LocalWorld, folder: StateFolder, settings: UpSettings, view: View) -> None:
        self._world = world
        self._folder = folder
        self._settings = settings
        self._view = view
        self._began = time.monotonic()
        self._memory = Memory()
        self._phase = ""
        self._loader = Loader(world.spec, folder, settings.load) if settings.load else None
        self._record: LoadRecord | None = None

    async def until_done(self) -> Result | None:
        """Reconcile every second; with a load, return its result, and without, go on until cancelled."""
        load: asyncio.Task[Result] | None = None
        try:
            while load is None or not load.done():
                frame = await self._tick()
                self._check_build(frame.plan)
                if self._loader and load is None and frame.ready:
                    load = asyncio.create_task(self._run_load(self._loader))
                await asyncio.sleep(TICK_SECONDS)
            return load.result()
        finally:
            if load is not None:
                load.cancel()
                await asyncio.gather(load, return_exceptions=True)

    async def _tick(self) -> Frame:
        now = time.monotonic()
        observation = await self._world.observe(now)
        timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        planned = plan(observation, self._memory, FAST, now, timestamp)
        self._memory = planned.memory
        await self._world.apply(planned.desired, now)
        frame = Frame(
            elapsed=now - self._began,
            observation=observation,
            plan=planned,
            progress=tuple(self._world.builds.history),
            phase=self._phase,
            call=_call(observation, self._folder),
        )
        if self._record is not None:
            self._record.add(frame)
        self._view.show(frame)
        return frame

    def _check_build(self, planned: Plan) -> None:
        build = self._world.builds.observe(self._world.spec.recipe)
        if build.phase == "Failed" and planned.desired.serving is None:
            code = EXIT_CODES[build.summary.reason] if build.summary else 1
            raise BuildError(build.message, code)

    async def _run_load(self, loader: Loader) -> Result:
        summary = self._world.builds.observe(self._world.spec.recipe).summary
        if summary is None:
            raise BuildError("the build's summary is gone; run again to build anew")
        before, after = await loader.compare(summary, self._set_phase)
        self._set_phase("rising and falling load")
        self._record = LoadRecord(time.monotonic() - self._began)
        host, port = self._world.replicas.address
        await loader.rise_and_fall(f"http://{host}:{port}", peak_rate(after, processors()))
        artifact = self._folder.store / names.artifact_folder(summary.artifact_digest or "")
        result = Result(read_manifest(artifact), before, after, self._record, tuple(loader.seconds))
        await self._write_report(result, artifact)
        return result

    async def _write_report(self, result: Result, artifact: Path) -> None:
        self._set_phase("writing the report")
        objective = self._world.spec.objective
        load_file = result.write(self._folder.root, objective.percentile, objective.latency_milliseconds)
        arguments = ["report", str(artifact), f"--load={load_file}", f"--out={self._folder.report}"]
        child = await processes.start(["slipstream_builder", *arguments], self._folder.logs / "report.log")
        if await child.wait():
            raise BuildError(f"the report could not be written: {child.last_line()}")

    def _set_phase(self, phase: str) -> None:
        self._phase = phase


def _call(observation: Observation, folder: StateFolder) -> str:
    """Return how a person calls the deployment."""
    key = f' -H "Authorization: Bearer $(cat {_shown(folder.token)})"'
    open_to_all = observation.spec.serving.authentication.mode == "None"
    host = observation.endpoint.split("/v2/")[0]
    return f"curl{'' if open_to_all else key} {host}/docs"


def _shown(path: Path) -> Path:
    """Return `path` as short as it can be from where the user stands."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
