"""Plays the kubelet for many namespaces at once, by events: what a pod needs next is done when it changes."""

import asyncio
import hashlib
from collections.abc import Coroutine
from itertools import count
from typing import Any

from slipstream_contract import codec, names
from slipstream_contract.recipe import Recipe
from slipstream_testing import pod_status
from slipstream_testing.api import ApiError, Json
from slipstream_testing.faults.mirror import Mirror, path_of
from slipstream_testing.faults.wire import Wire
from slipstream_testing.observations import make_summary

_ADDRESS = "127.0.0.1"
_MOUNT_SECONDS = 60.0


class Node:
    """Runs pods on the node `name`: builders end at once and well, replicas are ready at once, both when allowed to."""

    def __init__(self, wire: Wire, mirror: Mirror, name: str) -> None:
        """Act on the pods of the mirror from now on."""
        self._wire = wire
        self._mirror = mirror
        self._name = name
        self._addresses = (f"127.213.{number // 250 % 250}.{number % 250 + 1}" for number in count())
        self._allowed: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        mirror.on_pod(self._look)

    def allow(self, namespace: str, *components: str) -> None:
        """Let pods of only these components of the namespace go beyond being scheduled."""
        self._allowed = {pair for pair in self._allowed if pair[0] != namespace}
        self._allowed |= {(namespace, component) for component in components}
        for pod in list(self._mirror.found(namespace, "pods").values()):
            self._look(pod)

    def _look(self, pod: Json) -> None:
        metadata = pod["metadata"]
        pending = pod["status"].get("phase", "Pending") == "Pending"
        if "deletionTimestamp" in metadata:
            self._begin(self._wire.call("DELETE", _path(pod), gracePeriodSeconds="0"))
        elif not pod["spec"].get("nodeName"):
            self._begin(self._bind(pod))
        elif pending and (metadata["namespace"], _component(pod)) in self._allowed:
            self._begin(self._run(pod))

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, pod: Json) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": self._name}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}}
        await self._wire.call("POST", f"{_path(pod)}/binding", {**binding, "target": target})

    async def _run(self, pod: Json) -> None:
        if _component(pod) == "builder":
            status = pod_status.finished(pod, 0, await self._summary(pod))
        else:
            status = pod_status.running(pod, next(self._addresses), _ADDRESS, True)
        await self._wire.call("PATCH", f"{_path(pod)}/status", {"status": status})

    async def _summary(self, pod: Json) -> str:
        """Return what the builder would say: the same recipe gives the same artifact."""
        (recipe,) = [volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume]
        namespace = pod["metadata"]["namespace"]
        # A pod waits for the volumes that its Job was quicker than.
        await self._mirror.until(
            namespace, lambda: recipe in self._mirror.found(namespace, "configmaps"), _MOUNT_SECONDS
        )
        config = await self._wire.call("GET", path_of("configmaps", namespace, recipe))
        digest = codec.decode_json(Recipe, config["data"]["recipe.json"], recipe).digest
        return make_summary(hashlib.sha256(digest.encode()).hexdigest(), recipe_digest=digest).to_json()


def _component(pod: Json) -> str:
    return str(pod["metadata"].get("labels", {}).get(names.LABEL_COMPONENT, ""))


def _path(pod: Json) -> str:
    return path_of("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    """Do the work, unless the pod is gone or changed meanwhile, which brings an event of its own."""
    try:
        await work
    except ApiError as error:
        if error.status not in (404, 409):
            raise
