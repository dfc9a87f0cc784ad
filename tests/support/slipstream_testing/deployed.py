"""One AgentDeployment on a real API server as a test sees it, and the kubelet's part in its builds."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from slipstream_contract.summary import EXIT_CODES, BuildSummary
from slipstream_testing.api import ApiError, Json
from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.manifests import agent_deployment
from slipstream_testing.observations import make_summary
from slipstream_testing.waiting import eventually

PATHS = {
    "agentdeployments": "/apis/slipstream.dev/v1alpha1",
    "jobs": "/apis/batch/v1",
    "deployments": "/apis/apps/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
}
CHILDREN = (
    "jobs", "deployments", "networkpolicies", "poddisruptionbudgets",
    "serviceaccounts", "persistentvolumeclaims", "configmaps", "services",
)  # fmt: skip

CONTROLLERS_SECONDS = 120.0
"""The cluster's own controllers may still wait before they watch again, after a test took the API server away."""


@dataclass(frozen=True)
class Deployed:
    """An AgentDeployment by name; every question is asked of the API server anew."""

    control_plane: ControlPlane
    kubelet: Kubelet
    namespace: str
    name: str = "recommender"

    def apply(self, **spec: Any) -> None:
        """Apply the test manifest with kubectl, with `spec` entries put over it."""
        document = agent_deployment(self.name, **spec)
        document["metadata"]["namespace"] = self.namespace
        self.control_plane.kubectl("apply", "-f", "-", input=json.dumps(document))

    def path(self, plural: str, name: str = "") -> str:
        """Return the path of a collection of the namespace, or of one object."""
        base = f"{PATHS.get(plural, '/api/v1')}/namespaces/{self.namespace}/{plural}"
        return f"{base}/{name}" if name else base

    def live(self) -> Json:
        """Return the object."""
        return self.control_plane.api.get(self.path("agentdeployments", self.name))

    def status(self) -> Json:
        """Return its status."""
        return dict(self.live().get("status", {}))

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Return a condition's status, reason and message, once it speaks of the current spec."""
        live = self.live()
        for found in live.get("status", {}).get("conditions", []):
            if found["type"] == kind and found["observedGeneration"] == live["metadata"]["generation"]:
                return found["status"], found["reason"], found["message"]
        return "", "", ""

    def wait_for(self, kind: str, status: str, reason: str) -> str:
        """Wait until a condition has this status and reason, and return its message."""
        return eventually(lambda: self.condition(kind), until=lambda found: found[:2] == (status, reason))[2]

    def children(self, plural: str) -> list[Json]:
        """Return the objects of a kind that carry our labels."""
        items = self.control_plane.api.get(self.path(plural), labelSelector=f"app.kubernetes.io/instance={self.name}")[
            "items"
        ]
        return list(items)

    def child(self, plural: str) -> Json:
        """Return the only object of a kind, once it is there."""
        (only,) = eventually(lambda: self.children(plural), until=lambda found: len(found) == 1)
        return dict(only)

    def deployment(self) -> Json:
        """Return the runtime Deployment, once it is there."""
        return self.child("deployments")

    def secret(self, name: str) -> dict[str, bytes]:
        """Return what a Secret holds, once it is there."""
        found = eventually(lambda: self._found_secret(name))
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def events(self) -> list[Json]:
        """Return the events about the object."""
        events = self.control_plane.api.get(self.path("events"), fieldSelector=f"involvedObject.name={self.name}")
        return [event for event in events["items"] if event["involvedObject"]["kind"] == "AgentDeployment"]

    def job(self) -> Json:
        """Return the Job that builds the current spec, once the status names it and it is there."""
        name = eventually(self._job_name)
        return self.control_plane.api.get(self.path("jobs", name))

    def finish_build(self, **changes: Any) -> BuildSummary:
        """Play the kubelet: end the current build's pod with a summary of the right recipe, which is returned."""
        job = self.job()
        digest = self.status()["build"]["recipe"]
        summary = make_summary(**{"recipe_digest": digest, **changes})
        pod = eventually(lambda: self._running_pods(job["metadata"]["uid"]), CONTROLLERS_SECONDS)[0]
        pod = self.kubelet.bind_and_run(pod)
        self.kubelet.finish_pod(pod, EXIT_CODES[summary.reason], summary.to_json())
        return summary

    def serve(self, **changes: Any) -> BuildSummary:
        """Finish the build and bring up all replicas."""
        summary = self.finish_build(**changes)
        self.deployment()
        eventually(lambda: self.run_replicas() and self.condition("Ready")[0] == "True", CONTROLLERS_SECONDS)
        return summary

    def run_replicas(self) -> int:
        """Play the kubelet: run what waits, let go of what is deleted; return how many replicas are alive."""
        for pod in self.replica_pods():
            if pod["status"].get("phase") == "Pending" and "deletionTimestamp" not in pod["metadata"]:
                self._quietly(pod)
        self.kubelet.reap_deleted_pods(self.namespace)
        return len([pod for pod in self.replica_pods() if "deletionTimestamp" not in pod["metadata"]])

    def replica_pods(self) -> list[Json]:
        """Return the replicas' pods."""
        labels = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=runtime"
        return list(self.control_plane.api.get(self.path("pods"), labelSelector=labels)["items"])

    def _quietly(self, pod: Json) -> None:
        """Run a pod, unless its controller deleted it meanwhile."""
        try:
            self.kubelet.bind_and_run(pod)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _found_secret(self, name: str) -> Json | None:
        try:
            return self.control_plane.api.get(self.path("secrets", name))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def _job_name(self) -> str:
        live = self.live()
        status = live.get("status", {})
        current = status.get("observedGeneration") == live["metadata"]["generation"]
        return str(status.get("build", {}).get("job", "")) if current else ""

    def _running_pods(self, job_uid: str) -> list[Json]:
        pods = self.control_plane.api.get(self.path("pods"))["items"]
        owned = [pod for pod in pods if pod["metadata"].get("ownerReferences", [{}])[0].get("uid") == job_uid]
        return [pod for pod in owned if pod["status"].get("phase") in ("Pending", "Running")]
