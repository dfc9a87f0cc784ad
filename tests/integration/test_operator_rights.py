"""The operator's rights are exactly those that it uses: a full life, and the API server's audit log of it."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml

from slipstream_testing import audit
from slipstream_testing.components import free_ports
from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.deployed import Deployed
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import OWN_NAMESPACE, USER, OperatorProcess, remove_cluster_rights
from slipstream_testing.rights import granted, granted_by, used
from slipstream_testing.waiting import eventually

ROOT = Path(__file__).parents[2]
ROLES = ("slipstream-operator", "slipstream-operator-lease", "slipstream-operator-reviewer")
EVERYWHERE = ("slipstream-operator-cluster",)
OTHER = {"uri": "pvc://models/recommender.onnx", "sha256": "f" * 64}


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def begun(control_plane: ControlPlane) -> int:
    """How long the audit log was before."""
    return control_plane.audit_log.stat().st_size


@pytest.fixture(scope="module")
def lived(control_plane: ControlPlane, kubelet: Kubelet, begun: int, port: int) -> Iterator[list]:
    """Live a full life under an operator of the whole cluster, and give what it asked the API server for."""
    control_plane.kubectl("create", "namespace", "lived")
    flags = (f"--liveness-port={port}", "--scaling-profile=fast")
    with OperatorProcess(control_plane, "lived", *flags, everywhere=True) as operator:
        agent = Deployed(control_plane, kubelet, "lived", "lived")
        live(agent)
        meet_a_stranger(Deployed(control_plane, kubelet, "lived", "taken"))
        refuse(Deployed(control_plane, kubelet, "lived", "refused"))
        read_the_metrics(control_plane, port)
        assert operator.alive
    # What other tests left in namespaces of theirs that are going away is refused for that, not for want of a right.
    asked = audit.of_user(control_plane.audit_log, USER, begun)
    yield [entry for entry in asked if entry.get("objectRef", {}).get("namespace", "lived") in ("lived", OWN_NAMESPACE)]
    control_plane.kubectl("delete", "namespace", "lived", "--wait=false")
    remove_cluster_rights(control_plane)


def live(agent):
    """Create, build, serve, scale, update, repair, roll back and hand over to an autoscaler; then delete."""
    agent.apply()
    agent.serve()
    agent.apply(scaling={"minReplicas": 2, "maxReplicas": 3})
    eventually(lambda: agent.run_replicas() == 2 and agent.condition("Ready")[0] == "True")
    agent.apply(model=OTHER)
    agent.serve(artifact="b" * 64)
    eventually(lambda: len(agent.children("jobs")) == 1)
    agent.control_plane.kubectl("delete", "service", agent.name, "-n", agent.namespace)
    eventually(lambda: agent.children("services"))
    agent.apply(model=OTHER, rollout={"revision": "a" * 12})
    eventually(lambda: agent.run_replicas() and agent.condition("RolledOut")[:2] == ("True", "Pinned"))
    agent.apply(model=OTHER, scaling={"mode": "External"})
    eventually(lambda: agent.live()["spec"]["scaling"].get("replicas"))
    agent.control_plane.kubectl("delete", "agd", agent.name, "-n", agent.namespace)


def meet_a_stranger(agent):
    """Ask for what a stranger's Service is in the way of, and be told of it again and again."""
    agent.control_plane.kubectl("create", "service", "clusterip", agent.name, "--tcp=80:80", "-n", agent.namespace)
    agent.apply()
    agent.finish_build()
    agent.wait_for("Ready", "False", "ApplyFailed")
    eventually(lambda: any(event.get("count", 1) > 1 for event in agent.events()))


def refuse(agent):
    """Ask for what no pod can read."""
    agent.apply(model={"uri": "file:///home/me/model.onnx"})
    agent.wait_for("ArtifactBuilt", "False", "InvalidSource")


def read_the_metrics(control_plane, port):
    """Read the operator's own metrics with a token that may."""
    kubectl = control_plane.kubectl
    kubectl("create", "serviceaccount", "prometheus", "-n", "lived")
    binding = ("clusterrolebinding", "lived-prometheus", "--clusterrole=slipstream-operator-metrics-reader")
    kubectl("create", *binding, "--serviceaccount=lived:prometheus")
    token = kubectl("create", "token", "prometheus", "-n", "lived").stdout.strip()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()
    kubectl("delete", *binding[:2])


def shipped():
    return {*granted_by(ROOT / "hack/rbac.yaml", ROLES), *granted_by(ROOT / "hack/rbac-cluster.yaml", EVERYWHERE)}


def test_every_right_is_used_and_none_is_missing(lived):
    found = set(used(lived))

    assert shipped() - found == set(), "granted and never used"
    assert found - shipped() == set(), "used and not granted"


def test_nothing_that_it_asked_for_was_denied(lived):
    denied = [entry["requestURI"] for entry in lived if entry["responseStatus"]["code"] in (401, 403)]

    assert denied == []


def test_it_made_a_token_and_never_read_a_secret(lived):
    about_secrets = [entry["verb"] for entry in lived if entry.get("objectRef", {}).get("resource") == "secrets"]

    assert set(about_secrets) == {"create"}


def test_the_chart_grants_the_same():
    files = sorted((ROOT / "charts/slipstream/files").glob("rules*.yaml"))
    template = (ROOT / "charts/slipstream/templates/rbac.yaml").read_text()

    assert {right for file in files for right in granted(yaml.safe_load(file.read_text()))} == shipped()
    assert all(f'Files.Get "files/{file.name}"' in template for file in files)
