"""The laptop as a world to act on: observes and applies with processes what the cluster does with objects."""

import asyncio
import socket

from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.local.builds import Builds
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.replicas import LocalReplica, Replicas, local_options
from slipstream_operator.reconcile.desired import Desired, DesiredServing
from slipstream_operator.reconcile.observation import Observation, Served
from slipstream_operator.scrape import Scraper


class LocalWorld:
    """One deployment on this machine."""

    def __init__(self, spec: AgentSpec, folder: StateFolder, listener: socket.socket) -> None:
        self.spec = spec
        self.builds = Builds(folder)
        self.replicas = Replicas(folder, listener)
        self._folder = folder
        self._scraper = Scraper()
        self._served: Served | None = None
        self.status: dict[str, object] = {}

    async def observe(self, now: float) -> Observation:
        """Return the state of builder and replicas, with a fresh sample of each ready one."""
        await asyncio.gather(*(self._probe(replica) for replica in self.replicas.running))
        targets = [(r.uid, r.url("/metrics")) for r in self.replicas.running if r.ready and not r.stopping]
        host, port = self.replicas.address
        return Observation(
            spec=self.spec,
            generation=1,
            build=self.builds.observe(self.spec.recipe),
            served=self._served,
            replicas=self.replicas.observe(),
            samples=await self._scraper.scrape(targets, now),
            endpoint=f"http://{host}:{port}/v2/models/{self.spec.name}/infer",
            status=self.status,
            revisions=self.builds.revisions(),
        )

    async def apply(self, desired: Desired, now: float) -> None:
        """Start, stop and replace processes as wanted."""
        self.status = desired.status
        if desired.build is not None:
            await self.builds.ensure(desired.build)
        if desired.serving is not None:
            await self._serve(desired.serving, now)

    async def close(self, patience_seconds: float) -> None:
        """End every process."""
        await self.builds.stop()
        await self.replicas.stop(patience_seconds)
        await self._scraper.close()

    async def _serve(self, serving: DesiredServing, now: float) -> None:
        if self._served is None or self._served.variant != serving.variant:
            self._folder.name_variant(serving.variant)
        self._served = Served(serving.summary, serving.replicas, serving.variant)
        await self.replicas.ensure(local_options(self.spec, serving.summary, self._folder), serving.replicas, now)

    async def _probe(self, replica: LocalReplica) -> None:
        if replica.alive and not replica.stopping:
            replica.ready = await self._scraper.answers(replica.url("/readyz"))
