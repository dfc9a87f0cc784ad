"""The pods of a made-up cluster: what makes one, and the states that a kubelet reports."""

import hashlib
from typing import Any

from slipstream_testing.states.store import Document, Store

NodeState = str
"""`well`, `crashing` (what starts ends at once) or `full` (nothing more finds a place)."""


def pod_of(owner: Document, template: Document, name: str) -> Document:
    """Return a new pod by `template` that `owner` controls."""
    reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    metadata = {**template["metadata"], "name": name, "ownerReferences": [{**reference, "controller": True}]}
    return {"kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": {}}


def digest(value: Any) -> str:
    """Return a short name of what a template says."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def phase(pod: Document) -> str:
    """Return the pod's phase, `Pending` before anything was reported."""
    return str(pod["status"].get("phase", "Pending"))


def is_over(pod: Document) -> bool:
    """Return whether the pod has ended."""
    return phase(pod) in ("Succeeded", "Failed")


def is_going(pod: Document) -> bool:
    """Return whether the pod was told to end."""
    return "deletionTimestamp" in pod["metadata"]


def holds(pod: Document, claim: Document) -> bool:
    """Return whether the pod runs with the claim mounted."""
    name, volumes = claim["metadata"]["name"], pod["spec"]["volumes"]
    mounted = any(volume.get("persistentVolumeClaim", {}).get("claimName") == name for volume in volumes)
    return mounted and phase(pod) == "Running"


def is_ready(pod: Document) -> bool:
    """Return whether the pod answers."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def evict(store: Store, pod: Document) -> None:
    """Tell the pod to end; it goes when the kubelets have worked."""
    store.change(pod, metadata={**pod["metadata"], "deletionTimestamp": store.clock.stamp()})


def running(pod: Document, address: str, stamp: str, *, ready: bool) -> Document:
    """Return the status of a pod that runs."""
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp}
    state = {"running": {"startedAt": stamp}}
    return {"phase": "Running", "podIP": address, "conditions": [condition], "containerStatuses": _one(pod, state)}


def waiting(pod: Document, reason: str, message: str = "") -> Document:
    """Return the status of a pod whose container does not run."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "conditions": [], "containerStatuses": _one(pod, state)}


def unplaced(stamp: str) -> Document:
    """Return the status of a pod that no node has room for."""
    words = "0/1 nodes are available: 1 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "message": words, "lastTransitionTime": stamp}
    return {"phase": "Pending", "conditions": [condition]}


def ended(pod: Document, exit_code: int, message: str, stamp: str) -> Document:
    """Return the status of a pod that ended."""
    ending = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": message}
    state = {"terminated": {**ending, "finishedAt": stamp}}
    return {"phase": "Failed" if exit_code else "Succeeded", "containerStatuses": _one(pod, state)}


def _one(pod: Document, state: Document) -> list[Document]:
    (container,) = pod["spec"]["containers"]
    return [{"name": container["name"], "state": state}]
