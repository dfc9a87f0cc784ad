"""What a user of the cluster from source relies on: pods that run, find each other, keep data and are held to rules."""

import json

from slipstream_testing.cluster_namespace import SUCCEEDED, Namespace
from slipstream_testing.probe_pods import claim, probe_pod, server_pod, service
from slipstream_testing.real_cluster import RealCluster


def test_its_one_node_is_ready(cluster: RealCluster) -> None:
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=10s")

    assert len(cluster.kubectl("get", "nodes", "--output=name").stdout.split()) == 1


def test_starting_it_again_changes_nothing(cluster: RealCluster) -> None:
    before = cluster.process_id

    done = cluster.run("up")

    assert (done.returncode, cluster.process_id) == (0, before)
    assert done.stdout.split() == [str(cluster.kubeconfig)]


def test_a_pod_resolves_a_service_by_its_name_and_reaches_it(cluster: RealCluster, restricted: str, probe: str) -> None:
    namespace = Namespace(cluster, restricted)
    namespace.apply(server_pod("web", probe), service("web"))
    namespace.wait("pod/web", "condition=Ready")

    namespace.apply(probe_pod("client", probe, "fetch", f"http://web.{restricted}.svc.cluster.local/etc/hostname"))

    namespace.wait("pod/client", SUCCEEDED)
    assert namespace.log("client").strip() == "web"


def test_a_pod_that_is_not_root_writes_to_a_claim_of_the_default_class_and_another_reads_it(
    cluster: RealCluster, restricted: str, probe: str
) -> None:
    namespace = Namespace(cluster, restricted)

    namespace.apply(claim("kept"), probe_pod("writer", probe, "write", "/data/note", "hello", claim="kept"))

    namespace.wait("pod/writer", SUCCEEDED)
    assert namespace.get("pvc/kept")["status"]["phase"] == "Bound"
    namespace.apply(server_pod("web", probe, claim="kept"), service("web"))
    namespace.wait("pod/web", "condition=Ready")
    namespace.apply(probe_pod("reader", probe, "fetch", "http://web/note"))
    namespace.wait("pod/reader", SUCCEEDED)
    assert namespace.log("reader") == "hello"


def test_a_restricted_namespace_refuses_a_pod_that_is_root(cluster: RealCluster, restricted: str, probe: str) -> None:
    pod = probe_pod("root", probe, "fetch", "http://web")
    pod["spec"]["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}

    refusal = Namespace(cluster, restricted).apply(pod)

    assert 'violates PodSecurity "restricted:latest"' in refusal


def test_a_pod_that_uses_more_memory_than_its_limit_is_ended(cluster: RealCluster, restricted: str, probe: str) -> None:
    namespace = Namespace(cluster, restricted)
    pod = probe_pod("greedy", probe, "hold", "100")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "32Mi"}}

    namespace.apply(pod)

    namespace.wait("pod/greedy", "jsonpath={.status.phase}=Failed")
    (container,) = namespace.get("pod/greedy")["status"]["containerStatuses"]
    assert container["state"]["terminated"]["reason"] == "OOMKilled"


def test_every_request_is_in_the_audit_log(cluster: RealCluster, restricted: str) -> None:
    cluster.kubectl("get", "configmap", "kube-root-ca.crt", f"--namespace={restricted}")

    events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    reads = [
        event
        for event in events
        if event["verb"] == "get" and event.get("objectRef", {}).get("name") == "kube-root-ca.crt"
    ]
    assert any(
        event["user"]["username"] == "slipstream-admin" and event["objectRef"]["namespace"] == restricted
        for event in reads
    )
