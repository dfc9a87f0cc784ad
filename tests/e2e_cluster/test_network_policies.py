"""NetworkPolicy objects hold on the cluster from source: packets pass or are refused as the policies say."""

from collections.abc import Callable

import pytest

from slipstream_testing.api import Json
from slipstream_testing.cluster_namespace import SUCCEEDED, Namespace
from slipstream_testing.probe_pods import probe_pod, server_pod, service
from slipstream_testing.real_cluster import RealCluster

API_SERVER = "http://kubernetes.default.svc.cluster.local:443"
"""Not its protocol, but it answers, and says so, as long as it is reached."""

DNS: Json = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": "dns"}],
}


@pytest.fixture
def web(cluster: RealCluster, restricted: str, probe: str) -> Namespace:
    """A namespace with a server named web that everyone may reach so far."""
    namespace = Namespace(cluster, restricted)
    namespace.apply(server_pod("web", probe), service("web"))
    namespace.wait("pod/web", "condition=Ready")
    return namespace


def policy(name: str, selected: Json, **rules: list[Json]) -> Json:
    """A policy for the selected pods and for the directions whose rules are given."""
    spec = {"podSelector": selected, "policyTypes": [direction.title() for direction in rules], **rules}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def labelled(key: str, value: str) -> Json:
    return {"matchLabels": {key: value}}


def expect(namespace: Namespace, image: str, name: str, outcome: str, url: str) -> None:
    """The pod of this name comes to this outcome, `fetch` or `refused`, at the address."""
    namespace.apply(probe_pod(name, image, outcome, url))
    namespace.wait(f"pod/{name}", SUCCEEDED)


def test_a_pod_that_is_selected_is_reached_only_by_those_whom_a_policy_names(web: Namespace, probe: str) -> None:
    allowed = {"from": [{"podSelector": labelled("app", "friend")}], "ports": [{"port": 8080}]}

    web.apply(policy("web", labelled("app", "web"), ingress=[allowed]))

    expect(web, probe, "stranger", "refused", "http://web")
    expect(web, probe, "friend", "fetch", "http://web")
    web.wait("pod/web", "condition=Ready")  # the node's own probes pass


def test_a_port_that_no_rule_names_is_closed(web: Namespace, probe: str) -> None:
    web.apply(policy("web", labelled("app", "web"), ingress=[{"ports": [{"port": 9090, "endPort": 9099}]}]))

    expect(web, probe, "client", "refused", "http://web")


def test_another_namespace_is_let_in_by_its_labels(
    web: Namespace, cluster: RealCluster, new_namespace: Callable[..., str], probe: str
) -> None:
    inside = {"namespaceSelector": labelled("trust", "yes"), "podSelector": labelled("app", "client")}
    web.apply(policy("web", {}, ingress=[{"from": [inside]}]))
    url = f"http://web.{web.name}.svc.cluster.local"

    expect(Namespace(cluster, new_namespace()), probe, "client", "refused", url)
    expect(Namespace(cluster, new_namespace(trust="yes")), probe, "client", "fetch", url)


def test_a_pod_without_egress_reaches_nothing_and_the_name_server_by_its_named_port_only_when_allowed(
    web: Namespace, probe: str
) -> None:
    (address,) = web.get("pods/web")["status"]["podIPs"]
    web.apply(
        policy("mute", labelled("app", "mute"), egress=[]), policy("asker", labelled("app", "asker"), egress=[DNS])
    )

    expect(web, probe, "mute", "refused", f"http://{address['ip']}:8080")
    expect(web, probe, "asker", "refused", "http://web")  # so its name was found


def test_egress_to_the_api_server_is_held_too_although_it_runs_on_the_node(web: Namespace, probe: str) -> None:
    web.apply(policy("asker", labelled("app", "asker"), egress=[DNS]))

    expect(web, probe, "asker", "refused", API_SERVER)


def test_a_policy_that_is_deleted_no_longer_holds(web: Namespace, probe: str) -> None:
    web.apply(policy("web", {}, ingress=[]))
    expect(web, probe, "before", "refused", "http://web")

    web.delete("networkpolicy/web")

    expect(web, probe, "after", "fetch", "http://web")
