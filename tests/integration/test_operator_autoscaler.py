"""mode External: a real HorizontalPodAutoscaler moves the replicas, and the operator follows and never fights it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.deployed import Deployed
from slipstream_testing.metrics_api import MetricsApi
from slipstream_testing.operator_process import operated_namespace
from slipstream_testing.waiting import eventually

EXTERNAL = {"mode": "External"}
PATIENCE = 60


@pytest.fixture(scope="module")
def metrics(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsApi]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    with MetricsApi(control_plane, folder) as running:
        yield running


@pytest.fixture(scope="module")
def shop(control_plane: ControlPlane) -> Iterator[str]:
    with operated_namespace(control_plane, "--scaling-profile=fast") as (namespace, _):
        yield namespace


def autoscale(agent):
    """Ask for one replica for each 100 that the metric has."""
    target = {"apiVersion": "slipstream.dev/v1alpha1", "kind": "AgentDeployment", "name": agent.name}
    metric = {"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "100"}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": agent.name, "namespace": agent.namespace},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 1,
            "maxReplicas": 6,
            "metrics": [{"type": "External", "external": metric}],
        },
    }
    agent.control_plane.kubectl("apply", "-f", "-", input=json.dumps(autoscaler))


def replicas(agent):
    """What the spec asks for, what the Deployment has, and how many pods run."""
    wanted = agent.live()["spec"]["scaling"].get("replicas")
    return wanted, agent.deployment()["spec"]["replicas"], agent.run_replicas()


def follows(agent, count):
    eventually(lambda: replicas(agent), PATIENCE, until=lambda found: set(found) == {count})


def owners_of_replicas(agent):
    fields = agent.live()["metadata"]["managedFields"]
    found = [f for f in fields if "f:replicas" in f.get("fieldsV1", {}).get("f:spec", {}).get("f:scaling", {})]
    return {f["manager"] for f in found}


def test_an_autoscaler_moves_the_replicas_up_and_down_and_the_operator_follows(control_plane, kubelet, shop, metrics):
    agent = Deployed(control_plane, kubelet, shop, "scaled")
    agent.apply(scaling=EXTERNAL)
    agent.serve()
    metrics.value = 100
    autoscale(agent)

    metrics.value = 400
    follows(agent, 4)
    metrics.value = 200
    follows(agent, 2)

    assert agent.status()["scaling"]["desiredReplicas"] == 2
    assert "mode External" in agent.status()["scaling"]["reason"]
    assert metrics.asked
    assert "slipstream-operator" not in owners_of_replicas(agent)


def test_what_an_autoscaler_set_survives_the_next_apply(control_plane, kubelet, shop, metrics):
    agent = Deployed(control_plane, kubelet, shop, "kept")
    agent.apply(scaling=EXTERNAL)
    agent.serve()
    metrics.value = 300
    autoscale(agent)
    follows(agent, 3)

    agent.apply(scaling=EXTERNAL, objective={"percentile": 95, "latencyMilliseconds": 60})

    agent.wait_for("ArtifactBuilt", "False", "Building")
    wanted, asked, _ = replicas(agent)  # while the new objective rolls over, a fourth may run
    assert (wanted, asked) == (3, 3)


def test_a_deployment_that_is_handed_over_keeps_its_replicas(control_plane, kubelet, shop):
    agent = Deployed(control_plane, kubelet, shop, "handed")
    agent.apply(scaling={"mode": "Manual", "replicas": 3})
    agent.serve()
    follows(agent, 3)

    agent.apply(scaling=EXTERNAL)

    follows(agent, 3)


def test_kubectl_scales_what_is_scaled_by_hand_and_is_told_where_the_objective_decides(control_plane, kubelet, shop):
    agent = Deployed(control_plane, kubelet, shop, "byhand")
    scale = ("scale", f"agd/{agent.name}", "-n", agent.namespace, "--replicas=2")
    agent.apply()
    refused = control_plane.kubectl(*scale, check=False)

    agent.apply(scaling={"mode": "Manual", "replicas": 1})
    agent.serve()
    control_plane.kubectl(*scale)

    follows(agent, 2)
    assert refused.returncode
    assert "in mode Objective set minReplicas and maxReplicas" in refused.stderr
