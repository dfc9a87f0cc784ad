"""The control plane that other integration tests stand on does what a cluster does, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream_testing.api import Api, ApiError, Json
from slipstream_testing.control_plane import ControlPlane, provide_binaries
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.waiting import eventually

SUPPORT = Path(__file__).parents[1] / "support"

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""

READ_CONFIG_MAPS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read, namespace: %(namespace)s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read, namespace: %(namespace)s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}
subjects: [{kind: ServiceAccount, name: reader, namespace: %(namespace)s}]
"""


def pods(control_plane: ControlPlane, namespace: str) -> list[Json]:
    return list(control_plane.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"])


def run_deployment(control_plane: ControlPlane, kubelet: Kubelet, namespace: str, replicas: int) -> None:
    control_plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=web", f"--replicas={replicas}")
    eventually(lambda: len(pods(control_plane, namespace)), until=lambda count: count == replicas)
    kubelet.run_pending_pods(namespace)
    control_plane.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=30s")


@pytest.mark.parametrize(("exit_code", "condition"), [(0, "Complete"), (3, "Failed")])
def test_a_job_ends_as_its_pod_does_and_the_termination_message_stays_readable(
    control_plane: ControlPlane, kubelet: Kubelet, namespace: str, exit_code: int, condition: str
) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "build"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "builder", "image": "builder"}]},
            },
        },
    }
    control_plane.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(job))
    (pod,) = eventually(lambda: pods(control_plane, namespace))

    kubelet.bind_and_run(pod)
    kubelet.finish_pod(pod, exit_code, "what was built")

    control_plane.kubectl("-n", namespace, "wait", f"--for=condition={condition}", "job/build", "--timeout=30s")
    (pod,) = pods(control_plane, namespace)
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["message"] == "what was built"


def test_a_deployment_becomes_available_when_its_pods_run_and_not_before(
    control_plane: ControlPlane, kubelet: Kubelet, namespace: str
) -> None:
    control_plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=web", "--replicas=2")
    first, second = eventually(lambda: pods(control_plane, namespace), until=lambda found: len(found) == 2)

    def ready_replicas() -> int:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
        return int(control_plane.api.get(path)["status"].get("readyReplicas", 0))

    assert ready_replicas() == 0
    kubelet.bind_and_run(first)
    kubelet.bind_and_run(second, ready=False)
    eventually(ready_replicas, until=lambda ready: ready == 1)
    kubelet.bind_and_run(second)
    control_plane.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=30s")
    assert ready_replicas() == 2


def test_a_pod_that_a_scale_in_deletes_stays_until_its_kubelet_lets_go(
    control_plane: ControlPlane, kubelet: Kubelet, namespace: str
) -> None:
    run_deployment(control_plane, kubelet, namespace, replicas=2)

    control_plane.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=1")
    (deleted,) = eventually(
        lambda: [pod for pod in pods(control_plane, namespace) if "deletionTimestamp" in pod["metadata"]]
    )

    assert kubelet.reap_deleted_pods(namespace) == [deleted["metadata"]["name"]]
    eventually(lambda: len(pods(control_plane, namespace)), until=lambda count: count == 1)


def test_a_service_lists_the_addresses_of_running_pods(
    control_plane: ControlPlane, kubelet: Kubelet, namespace: str
) -> None:
    run_deployment(control_plane, kubelet, namespace, replicas=2)
    control_plane.kubectl("-n", namespace, "expose", "deployment/web", "--port=80")

    def addresses() -> set[str]:
        slices = control_plane.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
        endpoints = [endpoint for one in slices for endpoint in one["endpoints"] or []]
        return {endpoint["addresses"][0] for endpoint in endpoints if endpoint["conditions"]["ready"]}

    running = {pod["status"]["podIP"] for pod in pods(control_plane, namespace)}
    assert len(running) == 2
    eventually(addresses, until=lambda listed: listed == running)


def test_a_pod_may_have_a_loopback_address_but_then_no_service_lists_it(
    control_plane: ControlPlane, kubelet: Kubelet, namespace: str
) -> None:
    control_plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=web")
    control_plane.kubectl("-n", namespace, "expose", "deployment/web", "--port=80")
    (pod,) = eventually(lambda: pods(control_plane, namespace))

    assert kubelet.bind_and_run(pod, pod_ip="127.0.0.5")["status"]["podIP"] == "127.0.0.5"

    def complaints() -> list[str]:
        events = control_plane.api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        return [event["message"] for event in events if event["reason"] == "FailedToUpdateEndpointSlices"]

    assert "loopback" in eventually(complaints)[0]


def test_the_children_of_a_custom_resource_go_when_it_goes(control_plane: ControlPlane, tmp_path: Path) -> None:
    definition = tmp_path / "widgets.yaml"
    definition.write_text(WIDGETS)
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "owner"}}
    with ControlPlane(provide_binaries(), manifests=[definition]) as other:
        owner = other.api.create("/apis/example.com/v1/namespaces/default/widgets", widget)
        reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": owner["metadata"]["uid"]}
        child = {"metadata": {"name": "child", "ownerReferences": [reference]}}
        other.api.create("/api/v1/namespaces/default/configmaps", child)

        other.api.delete("/apis/example.com/v1/namespaces/default/widgets/owner")

        eventually(lambda: not other.api.exists("/api/v1/namespaces/default/configmaps/child"))


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(
    control_plane: ControlPlane, namespace: str
) -> None:
    manifest = READ_CONFIG_MAPS % {"namespace": namespace}
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "reader", manifest)
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    reader = Api(control_plane.url, token, control_plane.certificate_authority)

    eventually(lambda: may_list(reader, namespace, "configmaps"))
    assert not may_list(reader, namespace, "secrets")


def may_list(api: Api, namespace: str, resource: str) -> bool:
    try:
        api.get(f"/api/v1/namespaces/{namespace}/{resource}")
    except ApiError as error:
        if error.status == 403:
            return False
        raise
    return True


def test_the_audit_log_says_who_asked_for_what(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.api.get(f"/api/v1/namespaces/{namespace}/secrets")

    def entries() -> list[Json]:
        wanted = f"/api/v1/namespaces/{namespace}/secrets"
        lines = control_plane.audit_log.read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["requestURI"] == wanted]

    (entry,) = eventually(entries)
    assert (entry["user"]["username"], entry["verb"]) == ("admin", "list")


def test_the_api_comes_back_with_its_data_after_a_restart(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.restart_apiserver()

    assert control_plane.api.exists(f"/api/v1/namespaces/{namespace}")


def test_stopping_ends_every_process_and_removes_the_folder() -> None:
    control_plane = ControlPlane(provide_binaries())
    control_plane.start()
    pids = control_plane.pids
    assert len(pids) == 3

    control_plane.stop()

    assert not any(map(is_running, pids))
    assert not control_plane.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_no_process_outlives_a_killed_test_run(tmp_path: Path) -> None:
    program = """
import sys
from slipstream_testing.control_plane import ControlPlane, provide_binaries
control_plane = ControlPlane(provide_binaries())
control_plane.start()
print(*control_plane.pids, flush=True)
sys.stdin.read()
"""
    # The killed run cannot tidy up its folder, so it is made where this test's own folder ends up.
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as run:
        assert run.stdout
        pids = [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == 3

        run.send_signal(signal.SIGKILL)

        eventually(lambda: not any(map(is_running, pids)))


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody has collected yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")
