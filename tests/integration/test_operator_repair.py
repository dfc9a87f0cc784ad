"""What others do to an AgentDeployment's objects, and what becomes of it when the operator dies at any point."""

import json
from collections.abc import Iterator

import pytest

from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.deployed import Deployed
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import OperatorProcess, operated_namespace
from slipstream_testing.waiting import eventually


@pytest.fixture(scope="module")
def operated(control_plane: ControlPlane) -> Iterator[tuple[str, OperatorProcess]]:
    with operated_namespace(control_plane) as pair:
        yield pair


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane, kubelet: Kubelet, operated: tuple[str, OperatorProcess]) -> Deployed:
    agent = Deployed(control_plane, kubelet, operated[0], "served")
    agent.apply()
    agent.serve()
    return agent


def kubectl(agent, *arguments):
    return agent.control_plane.kubectl(*arguments, "-n", agent.namespace)


def test_a_scaled_deployment_is_set_back(served):
    kubectl(served, "scale", "deployment", served.name, "--replicas=7")

    eventually(lambda: served.deployment()["spec"]["replicas"] == 1)


def test_an_edited_child_is_set_back(served):
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "runtime", "image": "evil:1"}]}}}}
    kubectl(served, "patch", "deployment", served.name, "-p", json.dumps(patch))
    kubectl(served, "patch", "service", served.name, "-p", '{"spec": {"selector": {"app": "other"}}}')

    def image():
        return served.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]

    eventually(image, until=lambda found: found != "evil:1")
    eventually(lambda: served.child("services")["spec"]["selector"]["app.kubernetes.io/instance"] == served.name)


@pytest.mark.parametrize(
    ("plural", "name"),
    [
        ("services", "served"),
        ("networkpolicies", "served-runtime"),
        ("poddisruptionbudgets", "served"),
        ("serviceaccounts", "served-runtime"),
        ("deployments", "served"),
    ],
)
def test_a_deleted_child_comes_back(served, plural, name):
    before = served.control_plane.api.get(served.path(plural, name))["metadata"]["uid"]

    kubectl(served, "delete", plural, name)

    def uids():
        return [child["metadata"]["uid"] for child in served.children(plural) if child["metadata"]["name"] == name]

    eventually(uids, until=lambda found: found and found != [before])


def test_an_idle_operator_writes_nothing(served, operated):
    eventually(lambda: served.run_replicas() and served.condition("Ready")[0] == "True")
    start = len(served.control_plane.audit_log.read_text().splitlines())

    def turns_since_the_last_write():
        """Count them: what the test before changed may still have to settle."""
        records = [json.loads(line) for line in served.control_plane.audit_log.read_text().splitlines()[start:]]
        ours = [r for r in records if "slipstream-operator" in r["user"]["username"] and _about(r, served)]
        writes = [index for index, r in enumerate(ours) if r["verb"] not in ("get", "list", "watch")]
        quiet = ours[writes[-1] + 1 :] if writes else ours
        return len([r for r in quiet if r["verb"] == "get" and r["objectRef"]["resource"] == "agentdeployments"])

    eventually(turns_since_the_last_write, 90, until=lambda turns: turns >= 6)


def _about(record, agent):
    return record.get("objectRef", {}).get("namespace") == agent.namespace


def test_a_strangers_namesake_is_left_alone_and_told_of(control_plane, kubelet, operated):
    agent = Deployed(control_plane, kubelet, operated[0], "taken")
    kubectl(agent, "create", "service", "clusterip", "taken", "--tcp=80:80")
    agent.apply()

    agent.finish_build()

    words = agent.wait_for("Ready", "False", "ApplyFailed")
    assert "Service taken exists and belongs to someone else" in words
    assert control_plane.api.get(agent.path("services", "taken"))["spec"]["ports"][0]["port"] == 80
    kubectl(agent, "delete", "service", "taken")
    eventually(lambda: agent.run_replicas() and agent.condition("Ready")[0] == "True")


@pytest.fixture
def fragile(control_plane: ControlPlane, kubelet: Kubelet) -> Iterator[tuple[Deployed, OperatorProcess]]:
    with operated_namespace(control_plane) as (namespace, operator):
        yield Deployed(control_plane, kubelet, namespace, "fragile"), operator


def test_killed_at_any_point_the_operator_goes_on_from_what_the_cluster_says(fragile):
    agent, operator = fragile
    operator.kill()
    agent.apply()
    operator.start()
    job = agent.job()

    operator.kill()
    operator.start()
    agent.finish_build()
    operator.kill()
    operator.start()
    deployment = agent.deployment()
    operator.kill()
    operator.start()
    eventually(lambda: agent.run_replicas() and agent.condition("Ready")[0] == "True")

    assert [child["metadata"]["uid"] for child in agent.children("jobs")] == [job["metadata"]["uid"]]
    assert agent.deployment()["metadata"]["uid"] == deployment["metadata"]["uid"]
    assert agent.deployment()["metadata"]["generation"] == deployment["metadata"]["generation"]


def test_what_serves_survives_a_crash_amid_the_next_build_even_without_the_builds_pods(fragile):
    agent, operator = fragile
    agent.apply()
    agent.serve()
    kubectl(agent, "delete", "pods", "-l", "app.kubernetes.io/component=builder", "--wait=false")
    eventually(agent.run_replicas)

    agent.apply(model={"uri": "pvc://models/recommender.onnx", "sha256": "e" * 64})
    agent.wait_for("Ready", "False", "Building")
    operator.kill()
    kubectl(agent, "delete", "deployment", agent.name)
    operator.start()

    assert f"sha256-{'a' * 64}" in str(agent.deployment()["spec"]["template"]["spec"]["containers"][0]["args"])


def test_a_standby_takes_over(control_plane, kubelet):
    with operated_namespace(control_plane) as (namespace, first):
        eventually(lambda: "leading as operator" in first.words())
        with OperatorProcess(control_plane, namespace, name="standby") as second:
            eventually(lambda: "standing by" in second.words())
            first.kill()
            eventually(lambda: "leading as standby" in second.words(), timeout=40)

            agent = Deployed(control_plane, kubelet, namespace)
            agent.apply()
            agent.wait_for("ArtifactBuilt", "False", "Building")
