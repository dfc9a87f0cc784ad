"""The release's life beside agents that serve: tested, upgraded, uninstalled with and without its definition."""

from collections.abc import Iterator

import pytest

from slipstream_testing import release
from slipstream_testing.manifests import tiny_agent
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.tenant import Tenant
from slipstream_testing.waiting import eventually

DEFINITION = "customresourcedefinition/agentdeployments.slipstream.dev"
OF_THE_RELEASE = "--selector=app.kubernetes.io/instance=slipstream"
IN_THE_CLUSTER = "clusterroles,clusterrolebindings"
IN_ITS_NAMESPACE = "deployments,pods,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets"


@pytest.fixture(scope="module")
def agent(cluster: RealCluster, shop: Tenant) -> Iterator[str]:
    """An agent that serves; afterwards the release is as other modules expect it, whatever these tests left."""
    shop.apply(tiny_agent("tiny"))
    shop.wait("agd/tiny", "condition=Ready", seconds=120)
    yield "tiny"
    release.uninstall(cluster)
    release.install(cluster)


def pods(shop: Tenant, agent: str) -> set[tuple[str, int]]:
    found = shop.replicas(agent)
    return {(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in found}


def left_of_the_release(cluster: RealCluster) -> list[str]:
    here = Tenant(cluster.kubectl, release.NAMESPACE)
    return [
        *here("get", IN_ITS_NAMESPACE, OF_THE_RELEASE, "--output=name").split(),
        *here("get", IN_THE_CLUSTER, OF_THE_RELEASE, "--output=name").split(),
    ]


def test_helms_own_test_passes(cluster, agent):
    said = release.helm(cluster, "test", release.NAME, "--timeout=120s")

    assert "Succeeded" in said


def test_an_upgrade_replaces_the_operators_and_no_pod_of_an_agent(cluster, shop, agent):
    operators, served = Tenant(cluster.kubectl, release.NAMESPACE), pods(shop, agent)
    before = set(operators("get", "pods", "--output=name").split())

    release.upgrade(cluster, **{"podAnnotations.changed": "yes"})

    eventually(lambda: before & set(operators("get", "pods", "--output=name").split()), until=lambda kept: not kept)
    shop.wait(f"agd/{agent}", "condition=Ready")
    assert pods(shop, agent) == served


def test_an_uninstall_keeps_definition_and_agents_and_a_new_install_takes_them_over(cluster, shop, agent):
    served, jobs = pods(shop, agent), shop("get", "jobs", "--output=name")

    release.helm(cluster, "uninstall", release.NAME, "--wait", "--timeout=120s")

    eventually(lambda: left_of_the_release(cluster), until=lambda left: not left)
    assert shop.get("agd", agent)["spec"]["model"]["uri"] == "pvc://models/tiny.onnx"
    assert pods(shop, agent) == served
    release.install(cluster)
    shop("scale", "agd", agent, "--replicas=2")
    shop.settled(agent, 2)
    assert served < pods(shop, agent)
    assert shop("get", "jobs", "--output=name") == jobs


def test_an_uninstall_that_is_to_remove_the_definition_leaves_nothing_stuck(cluster, shop, agent):
    release.upgrade(cluster, **{"crds.keep": "false"})

    release.helm(cluster, "uninstall", release.NAME, "--wait", "--timeout=120s")

    cluster.kubectl("wait", "--for=delete", DEFINITION, "--timeout=60s")
    eventually(lambda: left_of_the_release(cluster), until=lambda left: not left)
    eventually(shop.children, timeout=90, until=lambda left: not left)
