"""Who reaches whom: the Service in front of the replicas, their disruption budget, and the network policies."""

from slipstream_contract import names
from slipstream_operator.cluster.children.metadata import (
    BUILDER,
    RUNTIME,
    Document,
    Owner,
    child,
    component_name,
    selector,
)

DNS_PORT = 53


def service(owner: Owner) -> Document:
    """Return the Service; the metrics port stays inside, for the operator alone."""
    port = {"name": "http", "port": names.HTTP_PORT, "targetPort": "http", "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": selector(owner, RUNTIME), "ports": [port]}
    return {**child("v1/Service", owner.name, owner, RUNTIME), "spec": spec}


def disruption_budget(owner: Owner) -> Document:
    """Return the budget that lets a drained node take one replica at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector(owner, RUNTIME)}}
    return {**child("policy/v1/PodDisruptionBudget", owner.name, owner, RUNTIME), "spec": spec}


def builder_policy(owner: Owner) -> Document:
    """Return the policy of build pods: nothing comes in; names are resolved and models fetched over HTTP(S)."""
    spec = {
        "podSelector": {"matchLabels": selector(owner, BUILDER)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            {"ports": [_port(DNS_PORT, "UDP"), _port(DNS_PORT)]},
            {"ports": [_port(443), _port(80)]},
        ],
    }
    return {**_policy(owner, BUILDER), "spec": spec}


def runtime_policy(owner: Owner, operator_namespace: str) -> Document:
    """Return the policy of replicas: requests from their namespace, metrics to the operator's; nothing goes out."""
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}}}
    spec = {
        "podSelector": {"matchLabels": selector(owner, RUNTIME)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {}}], "ports": [_port(names.HTTP_PORT)]},
            {"from": [operator], "ports": [_port(names.METRICS_PORT)]},
        ],
    }
    return {**_policy(owner, RUNTIME), "spec": spec}


def _policy(owner: Owner, component: str) -> Document:
    return child("networking.k8s.io/v1/NetworkPolicy", component_name(owner, component), owner, component)


def _port(number: int, protocol: str = "TCP") -> Document:
    return {"port": number, "protocol": protocol}
