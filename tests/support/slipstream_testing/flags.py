"""The command-line flags that make the real programs a fast, private, single-machine control plane."""

import json
from pathlib import Path

# What works on a cluster's objects; what works on nodes, clouds, volumes or certificates has nothing to do here.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolumeclaim-protection-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "ttl-after-finished-controller",
)


def etcd_flags(folder: Path, client_url: str, peer_url: str) -> dict[str, str]:
    """A single member that keeps nothing through a power cut."""
    return {
        "data-dir": str(folder / "etcd"),
        "unsafe-no-fsync": "true",
        "log-level": "warn",
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": f"default={peer_url}",
    }


def apiserver_flags(folder: Path, port: int, etcd_url: str, token_file: Path, key_file: Path) -> dict[str, str]:
    """TLS with a certificate the server makes itself, RBAC, and an audit log of who asked for what."""
    return {
        "etcd-servers": etcd_url,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": str(port),
        "cert-dir": str(folder / "certificates"),
        "token-auth-file": str(token_file),
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": str(key_file),
        "service-account-signing-key-file": str(key_file),
        "service-cluster-ip-range": "10.96.0.0/16",
        # The server would publish its own address as an endpoint, and the API refuses loopback addresses there.
        "endpoint-reconciler-type": "none",
        # Otherwise a stopping server would wait a minute for its clients to end their watches.
        "shutdown-watch-termination-grace-period": "1s",
        "audit-log-path": str(folder / "audit.log"),
        "audit-policy-file": str(_audit_policy(folder)),
        "audit-log-maxsize": "4096",  # MiB; a log that is begun anew would hide what came before
    }


def controller_manager_flags(kubeconfig: Path, certificate_authority: Path, key_file: Path) -> dict[str, str]:
    """The controllers above, each with its own service account and only its real rights."""
    return {
        "kubeconfig": str(kubeconfig),
        "controllers": ",".join(CONTROLLERS),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": str(key_file),
        "root-ca-file": str(certificate_authority),
        "leader-elect": "false",
        "secure-port": "0",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        # An autoscaler looks every 15 s and takes 5 minutes to scale in, unless it is told otherwise.
        "horizontal-pod-autoscaler-sync-period": "1s",
        "horizontal-pod-autoscaler-downscale-stabilization": "1s",
    }


def _audit_policy(folder: Path) -> Path:
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
    file = folder / "audit-policy.yaml"
    file.write_text(json.dumps(policy))
    return file
