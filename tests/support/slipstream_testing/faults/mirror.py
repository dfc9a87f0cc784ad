"""A copy of what the cluster holds, kept by watches, so that many lives can wait for news without asking."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Self

from slipstream_testing.api import Json
from slipstream_testing.faults.wire import Wire

COLLECTIONS = {
    "agentdeployments": "/apis/slipstream.dev/v1alpha1",
    "jobs": "/apis/batch/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "serviceaccounts": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "configmaps": "/api/v1",
    "services": "/api/v1",
    "secrets": "/api/v1",
    "pods": "/api/v1",
}
"""The kinds that a life is made of, by plural: where the API has them."""


def path_of(plural: str, namespace: str, name: str = "") -> str:
    """Return the path of a collection of the namespace, or of one object."""
    base = f"{COLLECTIONS[plural]}/namespaces/{namespace}/{plural}"
    return f"{base}/{name}" if name else base


class Mirror:
    """All objects of the kinds above; `async with` keeps the watches."""

    def __init__(self, wire: Wire) -> None:
        """Nothing is watched yet."""
        self._wire = wire
        self._objects: dict[str, dict[str, dict[str, Json]]] = defaultdict(lambda: defaultdict(dict))
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._listeners: list[Callable[[Json], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._identities: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.changed_at: dict[str, float] = defaultdict(time.monotonic)

    async def __aenter__(self) -> Self:
        """Begin, and return when all kinds were listed once."""
        listed = [asyncio.Event() for _ in COLLECTIONS]
        self._tasks = [
            asyncio.create_task(self._keep(plural, done)) for plural, done in zip(COLLECTIONS, listed, strict=True)
        ]
        await asyncio.gather(*(done.wait() for done in listed))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_pod(self, listener: Callable[[Json], None]) -> None:
        """Call `listener` with every pod that is new or changed."""
        self._listeners.append(listener)

    def found(self, namespace: str, plural: str) -> dict[str, Json]:
        """Return the objects of a kind in a namespace, by name."""
        return self._objects[namespace][plural]

    def ever_seen(self, namespace: str, plural: str) -> int:
        """Return how many objects of a kind there have been in a namespace, those that are gone included."""
        return len(self._identities[namespace, plural])

    async def until(self, namespace: str, question: Callable[[], bool], seconds: float) -> bool:
        """Wait until the answer is yes; ask again after every change in the namespace; False when time is up."""
        deadline = time.monotonic() + seconds
        while not question():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            news = self._news[namespace]
            news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(left, 0.5))
        return True

    async def _keep(self, plural: str, listed: asyncio.Event) -> None:
        collection = f"{COLLECTIONS[plural]}/{plural}"
        while True:
            answer = await self._wire.call("GET", collection, resourceVersion="0")
            for namespace in list(self._objects):
                self._objects[namespace][plural].clear()
            for item in answer["items"]:
                self._take(plural, "ADDED", item)
            listed.set()
            version = answer["metadata"]["resourceVersion"]
            async for event in self._wire.events(collection, version):
                if event["type"] == "ERROR":
                    break
                if event["type"] != "BOOKMARK":
                    self._take(plural, event["type"], event["object"])

    def _take(self, plural: str, change: str, item: Json) -> None:
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        self._identities[namespace, plural].add(item["metadata"]["uid"])
        if change == "DELETED":
            self._objects[namespace][plural].pop(name, None)
        else:
            self._objects[namespace][plural][name] = item
            for listener in self._listeners if plural == "pods" else ():
                listener(item)
        self.changed_at[namespace] = time.monotonic()
        self._news[namespace].set()
