"""What two runs of the same life must agree on: the objects without their accidents, pure."""

import json
import re
from collections.abc import Callable
from typing import Any

from slipstream_contract import names
from slipstream_testing.api import Json
from slipstream_testing.faults.mirror import COLLECTIONS

Snapshot = dict[str, Any]

_ACCIDENTAL = frozenset({  # the operator's digest of a child depends on its owner's uid
    "controller-uid", "batch.kubernetes.io/controller-uid", "uid", "resourceVersion", "creationTimestamp",
    "clusterIP", "clusterIPs", "lastTransitionTime", names.ANNOTATION_SPEC_HASH,
})  # fmt: skip

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def snapshot(found: Callable[[str], dict[str, Json]], name: str, namespace: str) -> Snapshot:
    """Return what is there of the AgentDeployment `name`, where `found` gives the objects of a kind by name."""
    taken = _taken(found, name)
    text = _TIME.sub("(time)", json.dumps(taken).replace(namespace, "(namespace)"))
    plain: Snapshot = json.loads(text)
    return plain


def _taken(found: Callable[[str], dict[str, Json]], name: str) -> Snapshot:
    taken: Snapshot = {}
    for plural in COLLECTIONS:
        mine = [item for item in found(plural).values() if _belongs(item, name)]
        if plural == "pods":
            taken[plural] = sorted(json.dumps(_pod(pod), sort_keys=True) for pod in mine)
        else:
            taken.update({f"{plural}/{item['metadata']['name']}": _object(plural, item) for item in mine})
    return taken


def differences(wanted: Snapshot, seen: Snapshot) -> list[str]:
    """Return in words where `seen` is not as `wanted`."""
    return [f"{path}: {_short(one)} became {_short(other)}" for path, one, other in _unlike(wanted, seen, "") if path]


def _belongs(item: Json, name: str) -> bool:
    metadata = item["metadata"]
    return name in (metadata["name"], metadata.get("labels", {}).get(names.LABEL_INSTANCE))


def _object(plural: str, item: Json) -> Any:
    metadata = item["metadata"]
    status = _STATUS.get(plural, lambda _: None)(item.get("status", {}))
    kept: dict[str, Any] = {
        "generation": metadata.get("generation"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "owners": [(owner["kind"], owner["name"]) for owner in metadata.get("ownerReferences", [])],
        "managers": sorted({f"{field['manager']} {field['operation']}" for field in metadata["managedFields"]}),
        "ending": "deletionTimestamp" in metadata,
        "status": status,
    }
    body = {key: value for key, value in item.items() if key not in ("metadata", "status", "kind", "apiVersion")}
    if plural == "secrets":  # the token is random, and made once
        body = {"keys": sorted(item["data"])}
    return _without_accidents({**kept, **body})


def _pod(pod: Json) -> Json:
    metadata = pod["metadata"]
    return {
        "labels": _without_accidents({k: v for k, v in metadata["labels"].items() if "job-name" not in k}),
        "annotations": metadata.get("annotations", {}),
        "phase": pod["status"].get("phase"),
        "ending": "deletionTimestamp" in metadata,
    }


def _agent_status(status: Json) -> Json:
    kept = {key: value for key, value in status.items() if key != "performance"}
    scaling = {key: value for key, value in status.get("scaling", {}).items() if key != "reason"}
    return {**kept, "scaling": scaling}


def _job_status(status: Json) -> Json:
    return {
        "succeeded": status.get("succeeded"),
        "failed": status.get("failed"),
        "conditions": sorted(c["type"] for c in status.get("conditions", []) if c["status"] == "True"),
    }


def _counts(status: Json) -> Json:
    return {key: value for key, value in status.items() if isinstance(value, int)}


_STATUS: dict[str, Callable[[Json], Json]] = {
    "agentdeployments": _agent_status,
    "jobs": _job_status,
    "deployments": _counts,
}


def _without_accidents(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_accidents(inner) for key, inner in value.items() if key not in _ACCIDENTAL}
    return [_without_accidents(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _unlike(one: Any, other: Any, path: str) -> list[tuple[str, Any, Any]]:
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys((*one, *other))
        return [found for key in keys for found in _unlike(one.get(key), other.get(key), f"{path}/{key}")]
    return [(path, one, other)]


def _short(value: Any) -> str:
    words = json.dumps(value, sort_keys=True, default=str)
    return words if len(words) <= 160 else f"{words[:160]}..."
