"""What a user does with an agent through kubectl alone, and what becomes of it: real pods, calls that never repeat."""

import pytest

from slipstream_testing import release
from slipstream_testing.manifests import tiny_agent
from slipstream_testing.pod_watch import PodWatch
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.steady_load import SteadyLoad
from slipstream_testing.tenant import Tenant
from slipstream_testing.waiting import eventually

RATE = 40
"""Requests a second: far below what a replica answers."""

COLUMNS = ["NAME", "READY", "REASON", "REPLICAS", "VARIANT", "SPEEDUP", "P99", "OBJECTIVE", "AGE"]
WIDE_COLUMNS = ["ANSWERING", "WANTED", "SIZE", "METRIC", "REQUESTS/S", "MESSAGE"]

NEXT = {"model": {"uri": "pvc://models/tiny-next.onnx"}}


@pytest.fixture(scope="module")
def agent(shop: Tenant, figures: dict[str, str]) -> str:
    """An agent of one replica that serves; each test leaves it so."""
    with PodWatch(shop.kubectl, shop.namespace) as watch:
        shop.apply(tiny_agent("tiny"))
        shop.wait("agd/tiny", "condition=Ready", seconds=120)
        figures["built to Ready, a model of microseconds"] = str(watch.start())
    return "tiny"


def steady(shop: Tenant, agent: str) -> SteadyLoad:
    return SteadyLoad(shop, agent, RATE, "tiny.npz")


def generation(shop: Tenant, agent: str) -> int:
    return int(shop.get("agd", agent)["metadata"]["generation"])


def pods(shop: Tenant, agent: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in shop.replicas(agent)}


def revisions(shop: Tenant, agent: str) -> list[str]:
    return [found["name"] for found in shop.get("agd", agent)["status"].get("revisions", [])]


def test_the_list_says_what_serves_and_the_wide_one_why(shop, agent):
    table, wide = shop("get", "agd", agent), shop("get", "agd", agent, "--output=wide")

    assert table.splitlines()[0].split() == COLUMNS
    assert table.splitlines()[1].split()[1:4] == ["True", "Serving", "1"]
    assert wide.splitlines()[0].split()[-6:] == WIDE_COLUMNS
    assert "1 of 1 replicas ready" in wide


def test_describe_and_events_tell_how_it_came_to_be(shop, agent):
    described, told = shop("describe", "agd", agent), shop("events", f"--for=agentdeployment/{agent}")

    for words in ("Building", "Built", "ReplicasReady", "RolledOut"):
        assert words in described
        assert words in told


def test_explain_says_what_to_write(shop, agent):
    assert "Serve this revision of status.revisions" in shop("explain", "agd.spec.rollout.revision")
    assert "Only `model` is required" in shop("explain", "agentdeployment.spec")


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_what_is_applied_shows_no_difference_and_applying_it_again_changes_nothing(shop, agent, flags):
    name = "side-" + ("server" if flags else "client")
    manifest = tiny_agent(name)
    shop.apply(manifest, flags=flags)
    shop.wait(f"agd/{name}", "condition=Ready", seconds=120)
    before = generation(shop, name)

    assert shop.diff(manifest, flags=flags) == ""
    shop.apply(manifest, flags=flags)

    assert generation(shop, name) == before
    assert "tiny-next" in shop.diff(tiny_agent(name, **NEXT), flags=flags)
    shop("delete", "agd", name)


def test_scale_changes_the_replicas(shop, agent):
    for replicas in (2, 1):
        shop("scale", "agd", agent, f"--replicas={replicas}")
        shop.settled(agent, replicas)


def test_one_field_goes_back_to_the_revision_before_without_a_build_or_a_lost_call(shop, agent):
    (first,) = revisions(shop, agent)
    with steady(shop, agent) as load:
        shop.patch(agent, **NEXT)
        shop.wait(f"agd/{agent}", "condition=Ready", seconds=120)
        second, kept = eventually(lambda: revisions(shop, agent), until=lambda found: len(found) == 2)
        assert (kept, second != first) == (first, True)
        jobs = shop("get", "jobs", "--output=name")

        shop.patch(agent, rollout={"revision": first})
        shop.wait(f"agd/{agent}", "condition=Ready", seconds=120)

        assert shop.get("agd", agent)["status"]["artifact"]["digest"].startswith(f"sha256:{first}")
        assert "Pinned" in shop("describe", "agd", agent)
        assert shop("get", "jobs", "--output=name") == jobs
        counted = load.so_far()
    assert counted["failures"] == {}, counted["first"]
    shop.patch(agent, rollout={"revision": None}, model={"uri": "pvc://models/tiny.onnx"})
    shop.wait(f"agd/{agent}", "condition=Ready", seconds=120)


def test_a_build_that_fails_says_why_and_touches_nothing_that_serves(shop, agent):
    before = pods(shop, agent)

    shop.apply(tiny_agent(agent, model={"uri": "pvc://models/nothing.onnx"}))
    shop.wait(f"agd/{agent}", "jsonpath={.status.conditions[?(@.type=='ArtifactBuilt')].reason}=InvalidSource")

    assert "nothing.onnx" in shop("get", "agd", agent, "--output=wide")
    assert pods(shop, agent) == before
    shop.apply(tiny_agent(agent))
    shop.wait(f"agd/{agent}", "condition=Ready", seconds=120)


def test_without_an_operator_what_serves_goes_on_and_later_all_is_caught_up(cluster: RealCluster, shop, agent):
    operators = Tenant(cluster.kubectl, release.NAMESPACE)
    shop("scale", "agd", agent, "--replicas=2")
    shop.settled(agent, 2)
    with steady(shop, agent) as load:
        operators("scale", "deployment/slipstream", "--replicas=0")
        operators(
            "wait", "pods", "--selector=app.kubernetes.io/name=slipstream-operator", "--for=delete", "--timeout=60s"
        )
        shop("delete", "pod", shop.replicas(agent)[0]["metadata"]["name"])
        shop.settled(agent, 2)
        shop("scale", "agd", agent, "--replicas=1")
        assert len(pods(shop, agent)) == 2

        operators("scale", "deployment/slipstream", "--replicas=2")

        shop.settled(agent, 1)
        counted = load.so_far()
    assert counted["failures"] == {}, counted["first"]
