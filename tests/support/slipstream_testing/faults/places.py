"""Makes the places of lives: namespaces of one real control plane, in which operators have their real rights only."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.faults.life import Place
from slipstream_testing.faults.mirror import Mirror
from slipstream_testing.faults.node import Node
from slipstream_testing.faults.wire import Wire
from slipstream_testing.faults.zygote import Zygote
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import ACCOUNT, OWN_NAMESPACE, rights


@asynccontextmanager
async def places(control_plane: ControlPlane, count: int) -> AsyncIterator[list[Place]]:
    """Give so many places, whose namespaces are removed at the end of the block."""
    namespaces = [f"life-{number}" for number in range(1, count + 1)]
    for namespace in namespaces:
        control_plane.kubectl("create", "namespace", namespace)
    kubeconfig = rights(control_plane, namespaces)
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    node = Kubelet(control_plane.api, "node-of-lives").node
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(
            Wire(control_plane.url, control_plane.token, control_plane.certificate_authority)
        )
        mirror = await stack.enter_async_context(Mirror(wire))
        zygote = await stack.enter_async_context(Zygote())
        player = Node(wire, mirror, node)
        yield [
            Place(wire, mirror, player, zygote, namespace, control_plane.folder, token, _flags(namespace))
            for namespace in namespaces
        ]
    control_plane.kubectl("delete", "namespace", *namespaces, "--wait=false")


def _flags(namespace: str) -> tuple[str, ...]:
    return (
        f"--namespace={namespace}",
        f"--lease-name={namespace}",
        f"--lease-namespace={OWN_NAMESPACE}",
        f"--identity={ACCOUNT}",
        "--liveness-port=0",
        "--scaling-profile=fast",
    )


def log_of(place: Place) -> Path:
    """Return the file with the words of the operators of a place."""
    return place.folder / f"{place.namespace}.log"
