"""The life of an AgentDeployment as its user sees it: real pods in a namespace that enforces `restricted`."""

import json

import pytest

from slipstream_testing.audit import created
from slipstream_testing.manifests import images_agent
from slipstream_testing.pod_watch import PodWatch
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.tenant import Tenant
from slipstream_testing.tenant_pods import load_pod, pod, steady_pod
from slipstream_testing.waiting import eventually

RATE_FOR_TWO = 700
"""Requests a second, more than twice what one replica of one thread answers on a fast processor (3 ms for an image)."""


@pytest.fixture(scope="module")
def served(cluster: RealCluster, shop: Tenant, figures: dict[str, str]) -> str:
    """An agent that was applied, built from a claim, and is ready; the figures of its start are kept."""
    with PodWatch(shop.kubectl, shop.namespace) as watch:
        shop.apply(images_agent("images", scaling={"minReplicas": 1, "maxReplicas": 2}))
        shop.wait("agd/images", "condition=Ready", seconds=180)
        figures["built to Ready"] = str(watch.start())
    agent, job = (dict(created(cluster.audit_log, kind, shop.namespace)) for kind in ("agentdeployments", "jobs"))
    figures["apply to Job"] = f"{min(job.values()) - agent['images']:.2f} s"
    return "images"


def test_it_is_built_by_a_pod_that_is_told_to_say_its_result_and_nothing_else(shop, served):
    (job,) = shop.get("jobs")["items"]
    (builder,) = shop.get("pods", f"--selector=job-name={job['metadata']['name']}")["items"]

    (container,) = builder["status"]["containerStatuses"]
    assert json.loads(container["state"]["terminated"]["message"])["reason"] == "Succeeded"


def test_kubectl_says_what_serves(shop, served):
    table = shop("get", "agd", served)
    described = shop("describe", "agd", served)

    assert "Serving" in table
    assert "p99 <= 250ms" in table
    assert "ReplicasReady" in described


def test_the_operator_reads_the_replicas_own_figures(shop, served):
    def measured():
        conditions = shop.get("agd", served)["status"]["conditions"]
        return {found["type"]: (found["status"], found["message"]) for found in conditions}.get("MetricsAvailable")

    eventually(measured, until=lambda found: found and found[0] == "True")


def test_a_pod_of_the_namespace_calls_it_by_its_services_name_with_the_token(shop, served):
    shop.apply(steady_pod(served, "client", "steady_client.py", "inputs.npz", rate=20))

    lines = shop.follow(f"steady-{served}", lambda lines: lines and lines[-1]["answered"] >= 100, 60)

    shop("delete", "pod", f"steady-{served}")
    assert lines[-1]["failures"] == {}


def test_without_the_token_it_answers_nobody(shop, served):
    call = (
        "import time, urllib.request as r, urllib.error as e\n"
        "while True:\n"
        f" try: r.urlopen('http://{served}:8000/v2/models/{served}/infer', data=b'{{}}')\n"
        " except e.HTTPError as error: print(error.code)\n"
        " except e.URLError: time.sleep(0.1); continue\n"  # policies know its address only a moment after its start
        " break"
    )
    shop.apply(pod("stranger", ["python", "-c", call], {}))

    shop.wait("pod/stranger", "jsonpath={.status.phase}=Succeeded")

    assert shop("logs", "stranger").strip() == "401"


def test_replicas_follow_the_load_up_and_down(shop, served, figures):
    schedule = f"0:{RATE_FOR_TWO},60:{RATE_FOR_TWO}"
    shop.apply(load_pod(served, "client", "inputs.npz", schedule))

    shop.settled(served, replicas=2, seconds=90)
    shop("delete", "pod", f"load-{served}")
    shop.settled(served, replicas=1, seconds=180)

    figures["replicas"] = "1, 2, 1"


def test_a_deleted_agent_leaves_nothing_behind(shop):
    shop.apply(images_agent("brief", compression={"mode": "Off"}))
    shop.wait("agd/brief", "condition=Ready", seconds=120)

    shop("delete", "agd", "brief")

    def left():
        return [child for child in shop.children() if "brief" in child]

    eventually(left, timeout=90, until=lambda found: not found)
    eventually(lambda: shop("get", "persistentvolumes").count("brief-artifacts"), timeout=60, until=lambda n: n == 0)
