"""Reads a pod: whether it is ready, since when it exists, and in words what keeps it from being ready."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from slipstream_contract import names
from slipstream_operator.cluster.children.metadata import revision_of
from slipstream_operator.reconcile.observation import ReplicaState

Document = dict[str, Any]

_PATIENT = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons for waiting that pass by themselves."""

_FULL = ("Insufficient ", "Too many pods")
"""What the scheduler's message holds where nodes would do if they had more to give."""


def replicas_of(
    pods: list[Document], revision: str, volume_since: str, since: Callable[[str], float]
) -> tuple[ReplicaState, ...]:
    """Return the replicas that exist, beside a volume of artifacts that exists since `volume_since` (RFC 3339).

    `since` turns an API timestamp into the reconcile's time.
    """
    return tuple(
        ReplicaState(
            uid=pod["metadata"]["uid"],
            ready=is_ready(pod),
            started_at=since(pod["metadata"]["creationTimestamp"]),
            current=revision_of(pod) == revision,
            problem=trouble(pod),
            stored=pod["metadata"]["creationTimestamp"] >= volume_since,
        )
        for pod in pods
        if is_alive(pod)
    )


def is_alive(pod: Document) -> bool:
    """Return whether the pod is neither on its way out nor over (evicted pods stay behind as failed ones)."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return "deletionTimestamp" not in pod["metadata"] and not ended


def is_ready(pod: Document) -> bool:
    """Return whether the pod answers."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def metrics_url(pod: Document) -> str | None:
    """Return where to scrape the pod; the address comes from its status alone, never from what users write."""
    address = pod.get("status", {}).get("podIP")
    if not address:
        return None
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{names.METRICS_PORT}/metrics"


def trouble(pod: Document) -> str:
    """Return why the pod is not ready, or nothing where that is in the nature of a start."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        if words := _container_trouble(container):
            return f"{container['name']}: {words}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"the pod cannot be scheduled: {condition.get('message') or condition.get('reason', '')}"
    return ""


def placeless(pod: Document) -> tuple[str, str]:
    """Return why no node has room for the pod, and since when (RFC 3339); two empty texts where that is not so."""
    for condition in pod.get("status", {}).get("conditions", []):
        words = condition.get("message", "")
        unplaced = condition["type"] == "PodScheduled" and condition["status"] == "False"
        if unplaced and any(sign in words for sign in _FULL):
            return words, condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return "", ""


def _container_trouble(status: Document) -> str:
    waiting = status.get("state", {}).get("waiting")
    if waiting and waiting.get("reason") and waiting["reason"] not in _PATIENT:
        return _joined(waiting["reason"], waiting.get("message", ""), _last_words(status.get("lastState", {})))
    return ""


def _last_words(state: Document) -> str:
    ended = state.get("terminated")
    if not ended:
        return ""
    words = _joined(ended.get("reason", "ended"), ended.get("message", ""))
    return f"it ended before with status {ended.get('exitCode')}: {words}"


def _joined(*parts: str) -> str:
    return "; ".join(part.strip() for part in parts if part.strip())[:512]


def seconds_since(timestamp: str, wall_now: float) -> float:
    """Return how long ago an RFC 3339 timestamp was, never less than nothing."""
    return max(0.0, wall_now - datetime.fromisoformat(timestamp).timestamp())
