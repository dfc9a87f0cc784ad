"""A `Kube` that answers from a script, for the few cases that a real API server gives only by chance."""

from collections.abc import Iterable, Mapping
from typing import Any

from slipstream_operator.cluster.kinds import Kind

Document = dict[str, Any]
Answer = Document | Exception | None


class KubeDouble:
    """Gives the answers of each verb in turn; what was sent is kept in `applied`, `created` and `replaced`."""

    def __init__(
        self,
        get: Iterable[Answer] = (),
        apply: Iterable[Answer] = (),
        create: Iterable[Answer] = (),
        replace: Iterable[Answer] = (),
    ) -> None:
        """Take the script."""
        self._get, self._apply, self._create, self._replace = map(iter, (get, apply, create, replace))
        self.applied: list[Document] = []
        self.created: list[Document] = []
        self.replaced: list[Document] = []
        self.merged: list[Document] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Answer a read."""
        return _given(next(self._get))

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, fresh: bool = False
    ) -> list[Document]:
        """Answer with nothing."""
        return []

    async def create(self, kind: Kind, document: Document) -> Document:
        """Take a creation."""
        self.created.append(document)
        return _given(next(self._create)) or {}

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Take an apply."""
        self.applied.append(document)
        return _given(next(self._apply)) or {}

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document, subresource: str = "") -> Document:
        """Take a merge patch."""
        self.merged.append(change)
        return change

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Take a replacement."""
        self.replaced.append(document)
        return _given(next(self._replace)) or {}

    async def delete(self, kind: Kind, document: Document) -> None:
        """Take a deletion."""


def _given(answer: Answer) -> Document | None:
    if isinstance(answer, Exception):
        raise answer
    return answer
