"""What people and other programs do to an AgentDeployment's objects, and objects of theirs that are in its way."""

import json

from slipstream_testing.states.store import Document, Place, Store, controller_uid

TAKEN = ("Service", "Deployment", "PodDisruptionBudget", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim")
"""Kinds of which a stranger may have a namesake."""

EDITS = ("spec", "labels", "annotations", "scale")
"""What of a child a stranger changes."""

_SUFFIXES = {"ConfigMap": "-variant", "ServiceAccount": "-runtime", "PersistentVolumeClaim": "-artifacts"}
_CHANGED: dict[str, Document] = {
    "Service": {"selector": {"app": "other"}},
    "PodDisruptionBudget": {"maxUnavailable": 0},
}


class Strangers:
    """Whoever is not the operator; remembers each object of theirs to the byte."""

    def __init__(self, store: Store) -> None:
        """Act on the store."""
        self._store = store
        self.objects: dict[Place, str] = {}

    def take(self, agent: str, kind: str, *, copycat: bool) -> bool:
        """Create a namesake, which may wear our labels too, where the name is free; return whether it was."""
        name = agent + _SUFFIXES.get(kind, "")
        if self._store.find(kind, name) is not None:
            return False
        ours = {"app.kubernetes.io/instance": agent, "app.kubernetes.io/managed-by": "slipstream-operator"}
        metadata = {"name": name, "labels": ours if copycat else {"app": "theirs"}}
        kept = self._store.put({"kind": kind, "metadata": metadata, "spec": {"replicas": 1}, "data": {"variant": "x"}})
        self.objects[kind, name] = json.dumps(kept)
        return True

    def leave(self) -> None:
        """Remove all of theirs."""
        for place in self.objects:
            self._store.remove(self._store.objects[place])
        self.objects.clear()

    def are_untouched(self) -> bool:
        """Return whether all of theirs is as they left it."""
        found = self._store.objects
        return all(place in found and json.dumps(found[place]) == text for place, text in self.objects.items())

    def children(self, live: Document) -> list[Document]:
        """Return the objects that the AgentDeployment controls."""
        uid = live["metadata"]["uid"]
        return [document for _, document in sorted(self._store.objects.items()) if controller_uid(document) == uid]

    def edit(self, child: Document, what: str) -> None:
        """Change a child that can be changed."""
        metadata, kind = child["metadata"], child["kind"]
        if what in ("labels", "annotations") and kind != "Job":
            self._store.change(child, metadata={**metadata, what: {"app": "theirs"} if what == "labels" else {}})
        elif kind == "Deployment":
            self._edit_deployment(child, what)
        elif kind == "NetworkPolicy":
            self._store.change(child, spec={"podSelector": {}, "policyTypes": []})
        elif kind == "ServiceAccount":
            self._store.change(child, automountServiceAccountToken=True)
        elif kind == "ConfigMap" and not child.get("immutable"):
            self._store.change(child, data={"variant": "no-such-variant", "revisions.json": "[", "good.json": "["})
        elif kind in _CHANGED:
            self._store.change(child, spec={**child["spec"], **_CHANGED[kind]})

    def _edit_deployment(self, child: Document, what: str) -> None:
        spec = child["spec"]
        if what == "scale":
            self._store.change(child, spec={**spec, "replicas": 7})
        else:
            template = {**spec["template"], "spec": {**spec["template"]["spec"], "serviceAccountName": "default"}}
            self._store.change(child, spec={**spec, "template": template})
