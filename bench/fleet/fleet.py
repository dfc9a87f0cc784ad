"""The AgentDeployments of a run: applied to real namespaces, built by a player, and served by kwok's pods."""

import asyncio
import urllib.request
from collections.abc import Iterator

from bench.fleet.figures import Page, read
from bench.shared.folders import BenchError
from slipstream_testing.api import Json
from slipstream_testing.audit import created
from slipstream_testing.components import free_ports
from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.faults.mirror import Mirror, path_of
from slipstream_testing.faults.node import Node
from slipstream_testing.faults.wire import Wire
from slipstream_testing.manifests import agent_deployment
from slipstream_testing.operator_process import OperatorProcess

REPLICAS = 5
_NAMESPACES = 10
_AT_ONCE = 16
_SCALING = {"minReplicas": REPLICAS, "maxReplicas": 2 * REPLICAS}


class Fleet:
    """So many AgentDeployments spread over namespaces, and the operator that leads them."""

    def __init__(self, control_plane: ControlPlane, wire: Wire, mirror: Mirror, node: Node, agents: int) -> None:
        """Make the namespaces and prepare the operator; nothing is applied yet."""
        self._control_plane, self._wire, self._mirror = control_plane, wire, mirror
        self.namespaces = [f"fleet-{number}" for number in range(_NAMESPACES)]
        self._names = [(self.namespaces[n % _NAMESPACES], f"agent-{n}") for n in range(agents)]
        for namespace in self.namespaces:
            control_plane.kubectl("create", "namespace", namespace)
            node.allow(namespace, "builder")
        (self._port,) = free_ports(1)
        flags = (f"--liveness-port={self._port}", "--metrics=Open")
        self.operator = OperatorProcess(control_plane, self.namespaces[0], *flags, everywhere=True)

    async def apply(self) -> None:
        """Apply all AgentDeployments."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(namespace: str, name: str) -> None:
            async with slots:
                await self._apply(namespace, name)

        await asyncio.gather(*(one(*place) for place in self._names))

    async def change(self, every: int) -> int:
        """Ask every so-manieth for one replica more, and return how many that were."""
        chosen = self._names[::every]
        for namespace, name in chosen:
            change = {"spec": {"scaling": {"minReplicas": REPLICAS + 1}}}
            await self._wire.call("PATCH", path_of("agentdeployments", namespace, name), change)
        return len(chosen)

    async def apply_one_more(self, name: str) -> float:
        """Apply another AgentDeployment, and return after how many seconds its build Job was made."""
        namespace, log = self.namespaces[0], self._control_plane.audit_log
        offset = log.stat().st_size
        await self._apply(namespace, name)
        await self._mirror.until(namespace, lambda: any(job.startswith(f"{name}-") for job in self._jobs()), 30)
        kinds = ("agentdeployments", "jobs")
        agents, jobs = await asyncio.to_thread(lambda: [dict(created(log, kind, namespace, offset)) for kind in kinds])
        made = [at for job, at in jobs.items() if job.startswith(f"{name}-")]
        if not made:
            raise BenchError(f"{name}: no build Job within 30 s")
        return min(made) - agents[name]

    def pods_asked(self) -> int:
        """Return how many replicas the Deployments ask for."""
        return sum(found["spec"]["replicas"] for found in self._deployments())

    def pods_ready(self) -> int:
        """Return how many replicas are ready."""
        return sum(found["status"].get("readyReplicas", 0) for found in self._deployments())

    def page(self) -> Page | None:
        """Return what the operator says of itself, or None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as response:
                return read(response.read().decode())
        except OSError:
            return None

    def _deployments(self) -> Iterator[Json]:
        for namespace in self.namespaces:
            yield from self._mirror.found(namespace, "deployments").values()

    def _jobs(self) -> list[str]:
        return list(self._mirror.found(self.namespaces[0], "jobs"))

    async def _apply(self, namespace: str, name: str) -> None:
        document = agent_deployment(name, scaling=_SCALING)
        document["metadata"]["namespace"] = namespace
        await self._wire.apply(path_of("agentdeployments", namespace, name), document)
