"""A `Kube` that answers from copies what is asked every turn: the children of one AgentDeployment.

Without it each turn would list nine kinds, and a thousand AgentDeployments would keep an API server busy with nothing.
What is written is copied from the answer, so that the next turn sees it before a watch brings it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from slipstream_contract import names
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.kube import ListingKube
from slipstream_operator.cluster.queue import Key
from slipstream_operator.cluster.reflecting import OURS, Reflector

Document = dict[str, Any]

PAGES_AT_ONCE = 2
"""Parsed, a page takes a hundred times the memory of its copies: those of all kinds at once would be most of all."""


class CopiedKube:
    """Reads children from copies, and everything else, as all writes, from the API server."""

    def __init__(
        self,
        kube: ListingKube,
        kinds: Sequence[Kind],
        scopes: Sequence[str | None],
        changed: Callable[[Iterable[Key]], None],
    ) -> None:
        """Prepare to copy the `kinds` in the namespaces `scopes` (None: in all); `changed` is told whose are news."""
        self._kube = kube
        slots = asyncio.Semaphore(PAGES_AT_ONCE)
        self._reflectors = {(k, scope): Reflector(kube, k, scope, changed, slots) for k in kinds for scope in scopes}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def stuck_seconds(self) -> float:
        """For how long the kind that has stood still longest has."""
        return max((reflector.stuck_seconds for reflector in self._reflectors.values()), default=0.0)

    def begin(self) -> None:
        """Begin to copy."""
        self._tasks = [asyncio.create_task(reflector.run()) for reflector in self._reflectors.values()]

    async def end(self) -> None:
        """Stop copying."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""
        return await self._kube.get(kind, namespace, name)

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, fresh: bool = False
    ) -> list[Document]:
        """Return the objects that carry the labels: from the copies where these are the labels of children.

        Raises:
            ClusterError: the copies are too old to judge by.
        """
        reflector, name = self._reflector(kind, namespace), (labels or {}).get(names.LABEL_INSTANCE)
        if fresh or reflector is None or name is None or labels != {**OURS, names.LABEL_INSTANCE: name}:
            return await self._kube.list(kind, namespace, labels, fresh)
        await reflector.ready()
        return reflector.copies.of((namespace or "", name))

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create the object."""
        return self._copied(kind, await self._kube.create(kind, document))

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Create or update by server-side apply."""
        return self._copied(kind, await self._kube.apply(kind, document, subresource))

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document, subresource: str = "") -> Document:
        """Apply a JSON merge patch."""
        return self._copied(kind, await self._kube.merge(kind, namespace, name, change, subresource))

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Replace the object."""
        return self._copied(kind, await self._kube.replace(kind, document))

    async def delete(self, kind: Kind, document: Document) -> None:
        """Delete this very object; the watch will tell that it is gone."""
        await self._kube.delete(kind, document)

    def _copied(self, kind: Kind, document: Document) -> Document:
        reflector = self._reflector(kind, document["metadata"].get("namespace"))
        if reflector is not None:
            reflector.copies.put(document)
        return document

    def _reflector(self, kind: Kind, namespace: str | None) -> Reflector | None:
        return self._reflectors.get((kind, namespace)) or self._reflectors.get((kind, None))
