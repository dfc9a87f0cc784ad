"""Name the cluster's addresses, names and places, on the host and inside its namespaces."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

NODE = "slipstream"
CGROUP = "slipstream-cluster"
HOST_INTERFACE = "slipstream0"
DOMAIN = "cluster.local"

# Benchmarking addresses (RFC 2544): private like 10.0.0.0/8, but hardly ever taken on a real network.
LINK = IPv4Network("198.19.0.0/30")
PODS = IPv4Network("198.19.64.0/18")
SERVICES = IPv4Network("198.19.128.0/18")
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

LOCK = Path("/run/slipstream-cluster.lock")  # one cluster on a machine: its addresses and cgroup have fixed names


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
