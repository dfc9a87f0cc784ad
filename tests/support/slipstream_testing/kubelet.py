"""Stand in for the kubelet of one node: move pods over the real API as a kubelet would, without running anything.

The API server accepts a loopback address as a pod's IP but refuses it in EndpointSlices, and then one such pod keeps
its Service's whole slice from being written. So give pods 127.x only where something must be reached by pod IP and no
test asks about Services; this machine's own address serves both, and the default serves where nothing is reached.
"""

from http import HTTPStatus
from itertools import count

from slipstream_testing import pod_status
from slipstream_testing.api import Api, ApiError, Json

_NODE_IP = "192.0.2.1"


class Kubelet:
    """Acts for one node, which it registers; pods are given and returned as the API's own JSON."""

    def __init__(self, api: Api, node: str = "node-1") -> None:
        """Register the node as ready."""
        self._api = api
        self.node = node
        self._addresses = (f"10.244.{number // 250}.{number % 250 + 1}" for number in count())
        self._register()

    def bind_and_run(self, pod: Json, pod_ip: str | None = None, ready: bool = True) -> Json:
        """Schedule the pod here unless it is, and report it running; call again to change its readiness."""
        path = _path(pod)
        if not self._api.get(path)["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}}
            self._api.create(f"{path}/binding", {**binding, "target": target})
        pod = self._api.get(path)
        address = pod_ip or pod["status"].get("podIP") or next(self._addresses)
        return self._report(pod, pod_status.running(pod, address, _NODE_IP, ready))

    def finish_pod(self, pod: Json, exit_code: int = 0, termination_message: str = "") -> Json:
        """Report that the pod's containers ended, leaving the message that they wrote to /dev/termination-log."""
        pod = self._api.get(_path(pod))
        return self._report(pod, pod_status.finished(pod, exit_code, termination_message))

    def run_pending_pods(self, namespace: str) -> list[Json]:
        """Run every pod that waits to be scheduled, and return those it started."""
        waiting = [pod for pod in self._pods(namespace) if pod["status"].get("phase") == "Pending"]
        return [self.bind_and_run(pod) for pod in waiting if "deletionTimestamp" not in pod["metadata"]]

    def reap_deleted_pods(self, namespace: str) -> list[str]:
        """Let go of every pod that is being deleted, at once and whatever its grace period; return their names."""
        doomed = [pod for pod in self._pods(namespace) if "deletionTimestamp" in pod["metadata"]]
        for pod in doomed:
            self._let_go(pod)
        return [str(pod["metadata"]["name"]) for pod in doomed]

    def _let_go(self, pod: Json) -> None:
        """Delete the pod for good, unless its controller was quicker."""
        try:
            self._api.delete(_path(pod), gracePeriodSeconds="0")
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def _register(self) -> None:
        path = f"/api/v1/nodes/{self.node}"
        self._api.apply(path, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node}})
        # Admission taints every new node until its kubelet reports; the controller that would lift it is not run.
        self._api.merge(path, {"spec": {"taints": None}})
        status = {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "addresses": [{"type": "InternalIP", "address": _NODE_IP}],
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
        }
        self._api.merge(f"{path}/status", {"status": {**status, "capacity": status["allocatable"]}})

    def _report(self, pod: Json, status: Json) -> Json:
        return self._api.merge(f"{_path(pod)}/status", {"status": status})

    def _pods(self, namespace: str) -> list[Json]:
        return list(self._api.get(f"/api/v1/namespaces/{namespace}/pods")["items"])


def _path(pod: Json) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
