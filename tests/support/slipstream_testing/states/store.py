"""The objects of a made-up cluster: versions, generations, uids and times as an API server keeps them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from slipstream_testing.states.clock import VirtualTime

Document = dict[str, Any]
Place = tuple[str, str]
"""Kind and name; there is one namespace."""

NAMESPACE = "shop"


def copied(document: Document) -> Document:
    """Return a copy that shares nothing."""
    found: Document = json.loads(json.dumps(document))
    return found


def controller_uid(document: Document) -> str:
    """Return the uid of the object that controls this one, or nothing."""
    references = document["metadata"].get("ownerReferences", [])
    return next((reference["uid"] for reference in references if reference.get("controller")), "")


class Store:
    """All objects by place. What is here is never changed in place: `put` takes a new document."""

    def __init__(self, clock: VirtualTime) -> None:
        """Begin empty."""
        self.clock = clock
        self.objects: dict[Place, Document] = {}
        self.version = 0
        self._uids = 0

    def find(self, kind: str, name: str) -> Document | None:
        """Return the object."""
        return self.objects.get((kind, name))

    def of_kind(self, kind: str) -> list[Document]:
        """Return all objects of a kind."""
        return [document for (found, _), document in self.objects.items() if found == kind]

    def owned(self, kind: str, uid: str) -> list[Document]:
        """Return the objects of a kind that the object with this uid controls."""
        return [document for document in self.of_kind(kind) if controller_uid(document) == uid]

    def put(self, document: Document) -> Document:
        """Keep the document in place of the one before, and return it as it is kept; no change is no new version."""
        place = (document["kind"], document["metadata"]["name"])
        before = self.objects.get(place)
        after = {**document, "metadata": {**document["metadata"], **self._identity(before)}}
        if before is not None and after == before:
            return before
        generation = 1
        if before is not None:
            generation = before["metadata"]["generation"] + (before.get("spec") != after.get("spec"))
        self.version += 1
        after["metadata"] |= {"generation": generation, "resourceVersion": str(self.version)}
        self.objects[place] = after
        return after

    def change(self, document: Document, **parts: Any) -> Document:
        """Put these parts (spec, status, data, metadata) over the document's."""
        return self.put({**document, **parts})

    def remove(self, document: Document) -> None:
        """Let the object go."""
        self.objects.pop((document["kind"], document["metadata"]["name"]), None)

    def delete(self, document: Document) -> None:
        """Delete the object as people do: a claim stays, on its way out, while pods hold it."""
        if document["kind"] == "PersistentVolumeClaim":
            self.change(document, metadata={**document["metadata"], "deletionTimestamp": self.clock.stamp()})
        else:
            self.remove(document)

    def collect(self) -> None:
        """Remove what the gone left behind, as the garbage collector does."""
        while orphans := list(self._orphans()):
            for orphan in orphans:
                self.remove(orphan)

    def _orphans(self) -> Iterator[Document]:
        alive = {document["metadata"]["uid"] for document in self.objects.values()}
        for document in self.objects.values():
            owner = controller_uid(document)
            if owner and owner not in alive:
                yield document

    def _identity(self, before: Mapping[str, Any] | None) -> Document:
        keys = ("uid", "creationTimestamp", "generation", "resourceVersion")
        if before is not None:
            return {key: before["metadata"][key] for key in keys}
        self._uids += 1
        return {"uid": f"uid-{self._uids}", "creationTimestamp": self.clock.stamp(), "namespace": NAMESPACE}
