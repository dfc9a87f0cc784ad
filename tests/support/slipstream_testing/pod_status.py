"""The status a kubelet reports for a pod: pure, so that the stand-in's only secret is in one place."""

from datetime import UTC, datetime
from typing import Any

from slipstream_testing.api import Json


def running(pod: Json, pod_ip: str, host_ip: str, ready: bool) -> Json:
    """Every container runs; the pod and its containers are ready or not."""
    started = pod.get("status", {}).get("startTime") or _now()
    state = {"running": {"startedAt": started}}
    return {
        "phase": "Running",
        "startTime": started,
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "conditions": _conditions(ready, "" if ready else "ContainersNotReady"),
        "initContainerStatuses": _statuses(pod, "initContainers", {"terminated": _terminated(0, "", started)}, True),
        "containerStatuses": _statuses(pod, "containers", state, ready),
    }


def finished(pod: Json, exit_code: int, termination_message: str) -> Json:
    """Every container ended with the exit code and message, and so did the pod."""
    started = pod.get("status", {}).get("startTime") or _now()
    state = {"terminated": _terminated(exit_code, termination_message, started)}
    return {
        "phase": "Failed" if exit_code else "Succeeded",
        "startTime": started,
        "conditions": _conditions(False, "PodFailed" if exit_code else "PodCompleted"),
        "containerStatuses": _statuses(pod, "containers", state, False),
    }


def _conditions(ready: bool, reason: str) -> list[Json]:
    since = {"lastTransitionTime": _now()}
    settled = [{"type": kind, "status": "True", **since} for kind in ("PodScheduled", "Initialized")]
    status = {"status": str(ready), **({"reason": reason} if reason else {}), **since}
    return [*settled, *({"type": kind, **status} for kind in ("ContainersReady", "Ready"))]


def _statuses(pod: Json, kind: str, state: Json, ready: bool) -> list[Json]:
    return [_status(container, state, ready) for container in pod["spec"].get(kind, [])]


def _status(container: Json, state: Json, ready: bool) -> Json:
    name, image = container["name"], container["image"]
    started = "running" in state
    facts: dict[str, Any] = {"imageID": image, "restartCount": 0, "started": started, "ready": ready}
    return {"name": name, "image": image, "state": state, **facts}


def _terminated(exit_code: int, message: str, started: str) -> Json:
    reason = "Error" if exit_code else "Completed"
    times = {"startedAt": started, "finishedAt": _now()}
    return {"exitCode": exit_code, "reason": reason, "message": message, **times}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
