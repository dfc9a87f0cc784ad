"""The API server as the operator meets it: a `Kube` over the store, with calls that fail when told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.errors import ClusterError
from slipstream_testing.states.merging import applied, merged
from slipstream_testing.states.store import Document, Place, Store, copied

FaultKind = Literal["conflict", "error", "silence", "lost answer", "kill before", "kill after"]
FAULTS: tuple[FaultKind, ...] = ("conflict", "error", "silence", "lost answer", "kill before", "kill after")
_REFUSALS = {"conflict": ("the object has been modified", 409), "error": ("internal error", 500)}


class OperatorKilledError(Exception):
    """The operator's process ended within a call."""


@dataclass
class Fault:
    """What happens to the call after `passing` others; one that bends an answer waits for a call that writes."""

    kind: FaultKind
    passing: int


class StoreKube:
    """`Kube` over a store. `writes` are the calls that wrote, and `struck` says whether a fault has happened.

    While `behind` holds objects, lists answer from these, with own writes on top: so do copies whose watch is late.
    """

    def __init__(self, store: Store) -> None:
        """Speak for the store."""
        self.store = store
        self.writes: list[tuple[str, Place]] = []
        self.fault: Fault | None = None
        self.struck = False
        self.behind: dict[Place, Document] | None = None
        self._before: dict[str, Document] = {}

    def lag(self) -> None:
        """Let lists show this moment until `catch_up`."""
        self.behind = dict(self.store.objects)

    def catch_up(self) -> None:
        """Let lists show what there is."""
        self.behind = None

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""
        self._readable(kind)
        self._strike()
        found = self.store.find(kind.kind, name)
        return copied(found) if found is not None else None

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, fresh: bool = False
    ) -> list[Document]:
        """Return the objects that carry the labels."""
        self._readable(kind)
        self._strike()
        objects = self.store.objects if fresh or self.behind is None else self.behind
        wanted = (labels or {}).items()
        return [
            copied(document)
            for (found, _), document in objects.items()
            if found == kind.kind and wanted <= document["metadata"].get("labels", {}).items()
        ]

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create the object."""
        name = document["metadata"]["name"]
        self._begin("create", kind, name)
        if self.store.find(kind.kind, name) is not None:
            raise ClusterError(f"{kind.plural} {name!r} already exists", 409)
        return self._end(copied(document))

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Create or update by server-side apply."""
        name = document["metadata"]["name"]
        self._begin(f"apply {subresource}".strip(), kind, name)
        live = self.store.find(kind.kind, name)
        _check(live, document)
        if subresource:
            return self._end(_told(live, document))
        key = live["metadata"]["uid"] if live is not None else ""
        result: Document = applied(live, copied(document), self._before.get(key))
        if live is not None and live.get("immutable") and live.get("data") != result.get("data"):
            raise ClusterError(f"{kind.plural} {name!r} is invalid: data is immutable", 422)
        kept = self.store.put(result)
        self._before[kept["metadata"]["uid"]] = copied(document)
        return self._end(kept)

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document, subresource: str = "") -> Document:
        """Apply a JSON merge patch."""
        self._begin(f"merge {subresource}".strip(), kind, name)
        live = self.store.find(kind.kind, name)
        if live is None:
            raise ClusterError(f"{kind.plural} {name!r} not found", 404)
        _check(live, {"metadata": change.get("metadata", {})})
        return self._end(_scaled(live, change) if subresource else merged(live, copied(change)))

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Replace the object: only Leases are, and who leads is no matter here."""
        raise NotImplementedError(f"{kind.kind} is not replaced")

    async def delete(self, kind: Kind, document: Document) -> None:
        """Delete this very object; what depends on it goes when the garbage collector runs."""
        name = document["metadata"]["name"]
        self._begin("delete", kind, name)
        live = self.store.find(kind.kind, name)
        if live is not None and live["metadata"]["uid"] == document["metadata"]["uid"]:
            self.store.remove(live)
        if self.behind is not None and (kind.kind, name) in self.behind:
            del self.behind[kind.kind, name]
        self._strike(committed=True)

    def _begin(self, verb: str, kind: Kind, name: str) -> None:
        self._strike(writing=True)
        self.writes.append((verb, (kind.kind, name)))

    def _end(self, document: Document) -> Document:
        kept = self.store.put(document)
        if self.behind is not None:
            self.behind[kept["kind"], kept["metadata"]["name"]] = kept
        self._strike(committed=True)
        return copied(kept)

    def _strike(self, *, writing: bool = False, committed: bool = False) -> None:
        """Let the fault happen if it is its turn."""
        fault = self.fault
        if fault is None:
            return
        late = fault.kind in ("lost answer", "kill after")
        if late != committed or (fault.kind == "conflict" and not writing):
            return
        if fault.passing > 0:
            fault.passing -= 1
            return
        self.fault, self.struck = None, True
        if fault.kind.startswith("kill"):
            raise OperatorKilledError
        words, status = _REFUSALS.get(fault.kind, ("the API server did not answer", 0))
        raise ClusterError(words, status)

    @staticmethod
    def _readable(kind: Kind) -> None:
        if kind.kind == "Secret":
            raise AssertionError("the operator read Secrets")


def _check(live: Document | None, document: Document) -> None:
    """Refuse what names another object, or another version of it, than there is."""
    for key in ("uid", "resourceVersion"):
        wanted = document["metadata"].get(key)
        if wanted is not None and (live is None or live["metadata"][key] != wanted):
            raise ClusterError(f"the {key} is another one than {wanted}", 409)


def _told(live: Document | None, document: Document) -> Document:
    """Return the object with its status applied."""
    if live is None:
        raise ClusterError("not found", 404)
    return {**live, "status": copied(document["status"])}


def _scaled(live: Document, change: Document) -> Document:
    """Return the AgentDeployment with the replicas that its scale subresource was given."""
    scaling = {**live["spec"]["scaling"], "replicas": change["spec"]["replicas"]}
    return {**live, "spec": {**live["spec"], "scaling": scaling}}
