"""Name the cluster's addresses, names and places, on the host and inside its namespaces.

A machine may run eight clusters side by side: SLIPSTREAM_CLUSTER_NUMBER, from 0 to 7, gives each its own of all.
"""

import os
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

_CHOSEN = os.environ.get("SLIPSTREAM_CLUSTER_NUMBER") or "0"
if _CHOSEN not in "01234567":
    raise SystemExit(f"cluster: SLIPSTREAM_CLUSTER_NUMBER is {_CHOSEN!r}: choose a digit from 0 to 7")
NUMBER = int(_CHOSEN)
NODE = "slipstream"
CGROUP = f"slipstream-cluster{NUMBER}"
HOST_INTERFACE = f"slipstream{NUMBER}"
DOMAIN = "cluster.local"

# Benchmarking addresses (RFC 2544): private like 10.0.0.0/8, but hardly ever taken on a real network.
_NETWORKS = list(IPv4Network("198.18.0.0/15").subnets(new_prefix=18))
_LINKS, PODS, SERVICES, _ = _NETWORKS[NUMBER].subnets(new_prefix=20)
LINK = next(_LINKS.subnets(new_prefix=30))
HOST_ADDRESS = str(LINK[1])
NODE_ADDRESS = str(LINK[2])
API_PORT = 6443
API_URL = f"https://{NODE_ADDRESS}:{API_PORT}"
KUBERNETES_SERVICE = str(SERVICES[1])
DNS_SERVICE = str(SERVICES[10])

# Inside the cluster's mount namespace, wherever the checkout and the cache are on the host.
INNER = Path("/run/slipstream")
INNER_STATE = INNER / "state"
INNER_PROGRAMS = INNER / "programs"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")

LOCK = Path(f"/run/slipstream-cluster{NUMBER}.lock")


@dataclass(frozen=True)
class Layout:
    """The places below one folder of the host: `kubeconfig` is what users need, `state` goes with the cluster."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig, readable by root only."""
        return self.folder / "kubeconfig"

    @property
    def state(self) -> Path:
        """What the running cluster writes; a new one starts with an empty folder."""
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        """One log file for each component; kept after the cluster is gone, until the next one starts."""
        return self.folder / "logs"

    @property
    def audit_log(self) -> Path:
        """What the API server was asked, a line of JSON for each request."""
        return self.logs / "audit.log"

    @property
    def backend(self) -> Path:
        """Which back end started the cluster of this folder."""
        return self.folder / "backend"
