"""Who reaches whom: the Service in front of the replicas, their disruption budget, and the network policies."""

from slipstream_contract import names
from slipstream_contract.recipe import Recipe
from slipstream_operator.api.spec import Serving, port_of
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
API_SERVER_PORTS = [443, 6443]
OBJECT_STORE_PORT = 9000
"""Where MinIO and its like listen; their address comes from a secret, which the operator never reads."""


def service(owner: Owner) -> Document:
    """Return the Service; the metrics port stays inside, for the operator alone."""
    ports = [
        {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
        for name, port in (("http", names.HTTP_PORT), ("grpc", names.GRPC_PORT))
    ]
    spec = {"type": "ClusterIP", "selector": selector(owner, RUNTIME), "ports": ports}
    return {**child("v1/Service", owner.name, owner, RUNTIME), "spec": spec}


def disruption_budget(owner: Owner) -> Document:
    """Return the budget that lets a drained node take one replica at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector(owner, RUNTIME)}}
    return {**child("policy/v1/PodDisruptionBudget", owner.name, owner, RUNTIME), "spec": spec}


def builder_policy(owner: Owner, recipe: Recipe) -> Document:
    """Return the policy of build pods: nothing comes in; out go names to resolve, and the ports that files come from.

    Link-local addresses, where clouds keep their machines' credentials, stay out of reach.
    """
    anywhere = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
    ]
    spec = {
        "podSelector": {"matchLabels": selector(owner, BUILDER)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            {"ports": [_port(DNS_PORT, "UDP"), _port(DNS_PORT)]},
            {"ports": [_port(port) for port in _fetched_from(recipe)], "to": anywhere},
        ],
    }
    return {**_policy(owner, BUILDER), "spec": spec}


def _fetched_from(recipe: Recipe) -> list[int]:
    """Return the ports of HTTP(S), of object stores inside clusters, and those that the recipe's addresses name."""
    named = (port_of(source.uri) for source in recipe.sources)
    return sorted({443, 80, OBJECT_STORE_PORT, *(port for port in named if port is not None)})


def runtime_policy(owner: Owner, serving: Serving, scrapers: tuple[str, ...]) -> Document:
    """Return the policy of replicas: requests from their namespace, metrics to the namespaces `scrapers`.

    Nothing goes out, but for names to resolve and Redis or the API server where they are used.
    """
    scraping = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in scrapers]
    spec: Document = {
        "podSelector": {"matchLabels": selector(owner, RUNTIME)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {}}], "ports": [_port(names.HTTP_PORT), _port(names.GRPC_PORT)]},
            {"from": scraping, "ports": [_port(names.METRICS_PORT)]},
        ],
    }
    if calls := _replicas_call(serving):
        spec["egress"] = calls
    return {**_policy(owner, RUNTIME), "spec": spec}


def _replicas_call(serving: Serving) -> list[Document]:
    ports = [names.REDIS_PORT] if serving.redis_secret else []
    if serving.authentication.mode == "TokenReview":
        ports += API_SERVER_PORTS
    if not ports:
        return []
    return [{"ports": [_port(DNS_PORT, "UDP"), _port(DNS_PORT), *map(_port, ports)]}]


def _policy(owner: Owner, component: str) -> Document:
    return child("networking.k8s.io/v1/NetworkPolicy", component_name(owner, component), owner, component)


def _port(number: int, protocol: str = "TCP") -> Document:
    return {"port": number, "protocol": protocol}
