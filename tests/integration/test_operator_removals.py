"""What an operator relies on taken away while it runs: it says so, does not race, and goes on when that returns."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from slipstream_testing import audit
from slipstream_testing.components import free_ports
from slipstream_testing.control_plane import ControlPlane, provide_binaries
from slipstream_testing.deployed import Deployed
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import USER, OperatorProcess, operated_namespace, rights
from slipstream_testing.waiting import eventually

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds/agentdeployments.yaml"
PATIENCE = 90
"""A turn that fails again and again is tried at most 30 s later."""


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane that no other test has: kinds and rights go away here."""
    with ControlPlane(provide_binaries(), manifests=[CRD]) as running:
        yield running


@pytest.fixture(scope="module")
def kubelet(control_plane: ControlPlane) -> Kubelet:
    return Kubelet(control_plane.api)


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def operated(control_plane: ControlPlane, port: int) -> Iterator[tuple[str, OperatorProcess]]:
    with operated_namespace(control_plane, f"--liveness-port={port}") as pair:
        yield pair


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane, kubelet: Kubelet, operated: tuple[str, OperatorProcess]) -> Deployed:
    agent = Deployed(control_plane, kubelet, operated[0], "served")
    agent.apply()
    agent.serve()
    return agent


def kubectl(agent, *arguments, **more):
    return agent.control_plane.kubectl(*arguments, "-n", agent.namespace, **more)


def answers(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def is_served(agent):
    return agent.run_replicas() and agent.condition("Ready")[0] == "True"


def uids(agent, plural):
    return [child["metadata"]["uid"] for child in agent.children(plural)]


def without(control_plane, resource, *verbs):
    """Take verbs on a resource from the operator's role."""
    rules = control_plane.api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/slipstream-operator")["rules"]
    left = [{**rule, "resources": [name]} for rule in rules for name in rule["resources"]]
    for rule in left:
        if rule["resources"] == [resource]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb not in verbs]
    patch = json.dumps({"rules": left})
    control_plane.kubectl("patch", "clusterrole", "slipstream-operator", "--type=merge", "-p", patch)


def requests_since(control_plane, offset):
    return list(audit.of_user(control_plane.audit_log, USER, offset))


def test_a_child_that_may_no_longer_be_written_is_told_of_and_made_when_it_may(served, operated):
    control_plane = served.control_plane
    without(control_plane, "services", "create", "patch")
    kubectl(served, "delete", "service", served.name)

    words = served.wait_for("Ready", "False", "ApplyFailed")
    told = {event["reason"] for event in served.events() if event["type"] == "Warning"}
    rights(control_plane, [served.namespace])

    assert "services" in words
    assert "forbidden" in words
    assert "ApplyFailed" in told
    eventually(lambda: served.children("services") and is_served(served), PATIENCE)
    assert operated[1].alive


def test_kinds_that_may_no_longer_be_read_are_told_of_and_judged_by_again_when_they_may(served, operated, port):
    control_plane, operator = served.control_plane, operated[1]
    written, begun = len(operator.words()), control_plane.audit_log.stat().st_size
    without(control_plane, "configmaps", "list", "watch")

    eventually(lambda: "configmaps cannot be watched" in operator.words()[written:], PATIENCE)
    asked = requests_since(control_plane, begun)
    well = answers(port, "/healthz")
    rights(control_plane, [served.namespace])
    served.apply(scaling={"minReplicas": 2, "maxReplicas": 2})

    eventually(lambda: is_served(served) and served.deployment()["spec"]["replicas"] == 2, PATIENCE)
    assert well == 200
    refused = [entry for entry in asked if entry["responseStatus"]["code"] == 403]
    tried = operator.words()[written:].count("watching configmaps")
    assert len(refused) <= 2 * tried + 2, "it asks more often than it says"


@pytest.mark.parametrize("suffix", ["variant", "revisions"])
def test_what_it_keeps_for_itself_and_for_replicas_comes_back(served, suffix):
    name = f"{served.name}-{suffix}"
    before = served.control_plane.api.get(served.path("configmaps", name))

    kubectl(served, "delete", "configmap", name)

    def found():
        return {child["metadata"]["name"]: child for child in served.children("configmaps")}.get(name, before)

    after = eventually(found, PATIENCE, until=lambda one: one["metadata"]["uid"] != before["metadata"]["uid"])
    assert after["data"].keys() == before["data"].keys()


def test_a_deleted_build_is_begun_again(control_plane, kubelet, operated):
    agent = Deployed(control_plane, kubelet, operated[0], "rebuilt")
    agent.apply()
    job = agent.job()

    kubectl(agent, "delete", "job", job["metadata"]["name"])

    eventually(lambda: uids(agent, "jobs") not in ([], [job["metadata"]["uid"]]), PATIENCE)
    agent.finish_build()
    eventually(lambda: is_served(agent), PATIENCE)


def test_when_the_claim_of_the_artifacts_is_gone_they_are_built_again(served):
    claim, job = served.child("persistentvolumeclaims"), served.job()
    kubectl(served, "delete", "persistentvolumeclaim", claim["metadata"]["name"], "--wait=false")
    # The cluster holds a claim for as long as pods name it, be they over.
    kubectl(served, "delete", "pods", "-l", f"app.kubernetes.io/instance={served.name}", "--wait=false")
    served.kubelet.reap_deleted_pods(served.namespace)

    eventually(lambda: uids(served, "persistentvolumeclaims") not in ([], [claim["metadata"]["uid"]]), PATIENCE)
    served.wait_for("ArtifactBuilt", "False", "Building")
    again = served.job()
    served.finish_build()

    assert again["metadata"]["uid"] != job["metadata"]["uid"]
    eventually(lambda: is_served(served), PATIENCE)


def test_without_its_namespace_the_operator_waits_and_begins_anew_when_that_returns(control_plane, kubelet):
    with operated_namespace(control_plane) as (namespace, operator):
        agent = Deployed(control_plane, kubelet, namespace, "lost")
        agent.apply()
        agent.serve()

        control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
        eventually(lambda: gone(control_plane, kubelet, namespace), PATIENCE)
        eventually(lambda: "forbidden" in operator.words(), PATIENCE)
        control_plane.kubectl("create", "namespace", namespace)
        rights(control_plane, [namespace])
        agent.apply()

        eventually(lambda: agent.condition("ArtifactBuilt")[:2] == ("False", "Building"), PATIENCE)
        agent.finish_build()
        eventually(lambda: is_served(agent), PATIENCE)
        assert operator.alive


def gone(control_plane, kubelet, namespace):
    """Play the kubelet of a namespace that ends, and tell whether it has."""
    kubelet.reap_deleted_pods(namespace)
    return not control_plane.api.exists(f"/api/v1/namespaces/{namespace}")


def test_without_its_kind_the_operator_waits_and_begins_anew_when_that_returns(served, operated, port):
    control_plane, operator = served.control_plane, operated[1]
    written = len(operator.words())
    control_plane.kubectl("delete", "-f", str(CRD), "--timeout=60s")

    eventually(lambda: operator.words()[written:].count("resync: ") >= 3, PATIENCE)
    well = answers(port, "/healthz")
    control_plane.kubectl("apply", "--server-side", "-f", str(CRD))
    control_plane.kubectl("wait", "--for=condition=Established", "-f", str(CRD), "--timeout=30s")
    again = Deployed(control_plane, served.kubelet, served.namespace, "again")
    again.apply()

    eventually(lambda: again.condition("ArtifactBuilt")[:2] == ("False", "Building"), PATIENCE)
    again.finish_build()
    eventually(lambda: is_served(again), PATIENCE)
    assert well == 200
    assert operator.alive
