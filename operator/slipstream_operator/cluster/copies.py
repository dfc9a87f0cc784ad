"""Copies of one kind's objects, kept up to date by what is listed, watched and written; pure, so order is all.

They are kept as compact JSON, compressed by what the first of their kind had in common with them: parsed, they would
take about a hundred times the memory.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from slipstream_contract import names
from slipstream_operator.cluster.queue import Key

Document = dict[str, Any]
Place = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class _Copy:
    version: int
    key: Key | None
    packed: bytes


class Copies:
    """The objects by their place, and by the AgentDeployment that their labels name."""

    def __init__(self) -> None:
        self._copies: dict[Place, _Copy] = {}
        self._places: dict[Key, set[Place]] = {}
        self._pattern = b""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._copies)

    def of(self, key: Key) -> list[Document]:
        """Return the objects that name the AgentDeployment `key`, each parsed anew."""
        return [self._unpacked(self._copies[place].packed) for place in sorted(self._places.get(key, ()))]

    def put(self, document: Document) -> set[Key]:
        """Take an object as it was read or written, unless a newer one is known; return the keys it is news to."""
        place, version = place_of(document), version_of(document)
        before = self._copies.get(place)
        if before is not None and version <= before.version:
            return set()
        self._forget(place)
        key = key_of(document)
        self._copies[place] = _Copy(version, key, self._packed(document))
        if key is not None:
            self._places.setdefault(key, set()).add(place)
        return {found for found in (key, before.key if before else None) if found is not None}

    def remove(self, document: Document) -> set[Key]:
        """Take it that the object was deleted, unless a newer one is known; return the keys it is news to."""
        place = place_of(document)
        before = self._copies.get(place)
        return self._forget(place) if before is not None and before.version <= version_of(document) else set()

    def keep_only(self, places: Iterable[Place], version: int) -> set[Key]:
        """Take it that nothing else was there at `version`; return the keys it is news to."""
        kept = set(places)
        gone = [place for place, copy in self._copies.items() if place not in kept and copy.version <= version]
        return {key for place in gone for key in self._forget(place)}

    def _packed(self, document: Document) -> bytes:
        text = _compact(document)
        self._pattern = self._pattern or text
        packing = zlib.compressobj(level=1, zdict=self._pattern)
        return packing.compress(text) + packing.flush()

    def _unpacked(self, packed: bytes) -> Document:
        document: Document = orjson.loads(zlib.decompressobj(zdict=self._pattern).decompress(packed))
        return document

    def _forget(self, place: Place) -> set[Key]:
        copy = self._copies.pop(place, None)
        if copy is None or copy.key is None:
            return set()
        places = self._places[copy.key]
        places.discard(place)
        if not places:
            del self._places[copy.key]
        return {copy.key}


def place_of(document: Document) -> Place:
    """Return where the object is."""
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def key_of(document: Document) -> Key | None:
    """Return the key of the AgentDeployment that the object's labels name."""
    metadata = document["metadata"]
    name = metadata.get("labels", {}).get(names.LABEL_INSTANCE)
    return (metadata.get("namespace", ""), name) if name else None


def version_of(document: Document) -> int:
    """Return the object's resource version; Kubernetes lets clients compare those of one kind as numbers since 1.35."""
    return int(document["metadata"]["resourceVersion"])


def _compact(document: Document) -> bytes:
    """Return the object without what the API server keeps of its writers, which is half of it."""
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return orjson.dumps({**document, "metadata": metadata})
