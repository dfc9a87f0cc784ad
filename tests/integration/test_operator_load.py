"""The operator under real load: it scrapes real runtime processes behind pod addresses, and scales by what it sees."""

import subprocess
import sys

import numpy as np
import pytest

from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.summary import VariantSummary
from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.deployed import Deployed
from slipstream_testing.operator_process import operated_namespace
from slipstream_testing.runtime_pods import RuntimePods
from slipstream_testing.waiting import eventually

VARIANT = "pruned50-int8"
CURVE = LatencyCurve(0.02, 0.01, 0.0, ((1, 0.03), (32, 0.34)))
"""Slower than the model is, so that a load two processors can offer needs several replicas."""

SOON = {"scaleDown": {"stabilizationWindowSeconds": 4, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 2}]}}
SPEC = {
    "objective": {"percentile": 99, "latencyMilliseconds": 200},
    "serving": {"cache": {"mode": "Off"}},
    "scaling": {"minReplicas": 1, "maxReplicas": 3, "behavior": SOON},
}


@pytest.fixture
def replicas(control_plane, kubelet, tmp_path):
    write_artifact(tmp_path / "artifact", mlp(), VARIANT)
    np.savez(tmp_path / "inputs.npz", **mlp().golden)
    with operated_namespace(control_plane, "--scaling-profile=fast") as (namespace, _):
        agent = Deployed(control_plane, kubelet, namespace)
        agent.apply(**SPEC)
        variants = (VariantSummary("optimized", 8000, CURVE), VariantSummary(VARIANT, 1000, CURVE))
        agent.finish_build(variants=variants)
        with RuntimePods(agent, tmp_path / "artifact", tmp_path) as pods:
            eventually(lambda: pods.sync() and agent.condition("MetricsAvailable")[0] == "True", timeout=60)
            yield agent, pods, tmp_path / "inputs.npz"


def test_replicas_follow_the_load_up_and_down(replicas):
    agent, pods, inputs = replicas
    url = f"http://{pods.addresses[0]}:8000"
    token = inputs.with_name("token")
    token.write_bytes(agent.secret(f"{agent.name}-keys")["token"])
    command = [sys.executable, "-m", "slipstream_runtime.load", f"--url={url}", f"--model={agent.name}"]
    what = [f"--inputs={inputs}", f"--token-file={token}", "--schedule=0:200,120:200"]
    with subprocess.Popen([*command, *what], stdout=subprocess.PIPE) as load:
        try:
            eventually(lambda: pods.sync() > 1, timeout=60)
            busy = eventually(agent.status, until=lambda status: "requestsPerSecond" in status["performance"])
            eventually(lambda: pods.sync() > 1 and agent.status()["readyReplicas"] > 1, timeout=60)
        finally:
            load.terminate()

    assert int(busy["performance"]["requestsPerSecond"]) > 0
    assert busy["performance"]["p99"].endswith("ms")
    assert busy["scaling"]["desiredReplicas"] > 1
    assert busy["scaling"]["reason"]
    assert "Scaled" in {event["reason"] for event in agent.events()}
    eventually(lambda: pods.sync() == 1 and agent.deployment()["spec"]["replicas"] == 1, timeout=120)
    assert agent.status()["scaling"]["desiredReplicas"] == 1
