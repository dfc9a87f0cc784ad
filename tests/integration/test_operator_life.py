"""The life of an AgentDeployment on a real API server: applied, built, served, changed, deleted."""

import hashlib
from collections.abc import Iterator
from itertools import count

import pytest

from slipstream_contract import codec
from slipstream_contract.recipe import Recipe
from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.deployed import CHILDREN, Deployed
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import operated_namespace
from slipstream_testing.waiting import eventually

NAMES = (f"agent{number}" for number in count(1))
OTHER = {"uri": "pvc://models/recommender.onnx", "sha256": "f" * 64}


@pytest.fixture(scope="module")
def shop(control_plane: ControlPlane) -> Iterator[str]:
    with operated_namespace(control_plane, "--image-builder=registry/builder:1", "--image-runtime=registry/run:1") as (
        namespace,
        _,
    ):
        yield namespace


@pytest.fixture
def agent(control_plane: ControlPlane, kubelet: Kubelet, shop: str) -> Deployed:
    return Deployed(control_plane, kubelet, shop, next(NAMES))


def container(workload):
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return only


def test_an_applied_manifest_is_built_by_a_job_without_rights(agent):
    agent.apply()

    agent.wait_for("ArtifactBuilt", "False", "Building")
    job = agent.job()
    pod, builder = job["spec"]["template"]["spec"], container(job)
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert builder["image"] == "registry/builder:1"
    assert builder["securityContext"]["readOnlyRootFilesystem"] is True
    assert builder["resources"]["limits"] == {"memory": "4Gi"}
    assert builder["args"][:2] == [
        "--recipe=/etc/slipstream/recipe.json",
        "--store=/var/lib/slipstream/artifacts",
    ]
    assert job["spec"]["activeDeadlineSeconds"] > 1800


def test_the_jobs_recipe_is_the_manifests(agent):
    agent.apply()
    agent.job()

    recipe = codec.decode_json(Recipe, agent.child("configmaps")["data"]["recipe.json"], "recipe")

    assert recipe.model.uri == "pvc://models/recommender.onnx"
    assert recipe.digest == agent.status()["build"]["recipe"]


def test_kubectl_shows_where_it_stands(agent):
    agent.apply()
    agent.wait_for("Ready", "False", "Building")

    table = agent.control_plane.kubectl("get", "agd", agent.name, "-n", agent.namespace).stdout

    assert "READY" in table
    assert "Building" in table
    assert "p99 <= 50ms" in table


def test_a_token_is_made_once_for_those_who_name_no_keys(agent):
    agent.apply()
    agent.serve()
    made = agent.secret(f"{agent.name}-keys")

    agent.apply(scaling={"minReplicas": 2, "maxReplicas": 3})
    eventually(lambda: agent.run_replicas() == 2 and agent.condition("Ready")[0] == "True", timeout=60)

    name, digest = made["keys"].decode().strip().split(":")
    assert (name, digest) == ("default", hashlib.sha256(made["token"]).hexdigest())
    assert agent.secret(f"{agent.name}-keys") == made


def test_a_finished_build_is_served(agent):
    agent.apply()
    summary = agent.finish_build()

    deployment = agent.deployment()

    arguments = container(deployment)["args"]
    assert deployment["spec"]["replicas"] == 1
    assert f"--artifact=/var/lib/slipstream/artifacts/sha256-{summary.artifact_digest}" in arguments
    assert "--variant=pruned50-int8" in arguments
    assert "--host=0.0.0.0" in arguments
    assert container(deployment)["securityContext"]["readOnlyRootFilesystem"] is True
    assert agent.child("services")["spec"]["ports"][0]["port"] == 8000
    assert agent.child("poddisruptionbudgets")["spec"]["maxUnavailable"] == 1
    policies = eventually(lambda: agent.children("networkpolicies"), until=lambda found: len(found) == 2)
    assert {policy["metadata"]["name"] for policy in policies} == {f"{agent.name}-builder", f"{agent.name}-runtime"}
    artifact = eventually(agent.status, until=lambda status: "artifact" in status)["artifact"]
    assert (artifact["variant"], artifact["compressionRatio"]) == ("pruned50-int8", "0.125")


def test_a_served_agent_is_ready_and_its_events_say_how_it_came_to_be(agent):
    agent.apply()
    agent.serve()

    assert agent.condition("Ready")[:2] == ("True", "Serving")
    assert agent.condition("AccuracyGatePassed")[:2] == ("True", "Passed")
    assert agent.status()["selector"].endswith("name=slipstream")
    reasons = {event["reason"] for event in agent.events()}
    assert {"Building", "Built", "Passed", "ReplicasReady"} <= reasons
    agent.control_plane.kubectl(
        "wait", "--for=condition=Ready", f"agd/{agent.name}", "-n", agent.namespace, "--timeout=20s"
    )


def test_a_new_model_is_built_while_the_old_artifact_serves_and_then_takes_over(agent):
    agent.apply()
    agent.serve()
    first_job, first = agent.job(), container(agent.deployment())["args"]

    agent.apply(model=OTHER)
    agent.wait_for("Ready", "False", "Building")
    second_job, during = agent.job(), container(agent.deployment())["args"]
    agent.serve(artifact="b" * 64)

    assert second_job["metadata"]["name"] != first_job["metadata"]["name"]
    assert during == first
    assert f"--artifact=/var/lib/slipstream/artifacts/sha256-{'b' * 64}" in container(agent.deployment())["args"]
    assert agent.status()["artifact"]["digest"] == f"sha256:{'b' * 64}"
    jobs = eventually(lambda: agent.children("jobs"), until=lambda found: len(found) == 1)
    assert jobs[0]["metadata"]["name"] == second_job["metadata"]["name"]


def test_a_failed_build_says_the_builders_words_and_the_old_artifact_keeps_serving(agent):
    agent.apply()
    agent.serve()
    before = container(agent.deployment())["args"]

    agent.apply(model=OTHER)
    agent.wait_for("Ready", "False", "Building")
    agent.finish_build(reason="InvalidSource", message="recommender.onnx: truncated at byte 4096")

    words = agent.wait_for("ArtifactBuilt", "False", "InvalidSource")
    assert "recommender.onnx: truncated at byte 4096" in words
    assert "keeps serving" in words
    assert agent.condition("Available")[0] == "True"
    assert container(agent.deployment())["args"] == before
    assert "InvalidSource" in {event["reason"] for event in agent.events() if event["type"] == "Warning"}


def test_a_source_that_no_pod_can_read_is_told_in_a_condition(agent):
    agent.apply(model={"uri": "file:///home/me/model.onnx"})

    words = agent.wait_for("ArtifactBuilt", "False", "InvalidSource")

    assert "spec.model.uri" in words
    assert "pvc://CLAIM/PATH" in words
    assert agent.children("jobs") == []


def test_a_deleted_agent_leaves_nothing_behind(agent):
    agent.apply()
    agent.serve()

    agent.control_plane.kubectl("delete", "agd", agent.name, "-n", agent.namespace, "--timeout=20s")

    def left() -> list[str]:
        agent.kubelet.reap_deleted_pods(agent.namespace)
        found = [child for plural in (*CHILDREN, "pods") for child in agent.children(plural)]
        return [child["metadata"]["name"] for child in found if "deletionTimestamp" not in child["metadata"]]

    eventually(left, timeout=60, until=lambda found: not found)
