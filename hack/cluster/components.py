"""Write what each component of the cluster is started with: command lines, configuration files, credentials."""

import json
import sys
from pathlib import Path
from typing import Any

from certificates import Authority, Identity, new_authority, write_kubeconfig
from layout import (
    API_PORT,
    API_URL,
    CGROUP,
    CONTAINERD_SOCKET,
    DNS_SERVICE,
    DOMAIN,
    INNER,
    INNER_PROGRAMS,
    INNER_STATE,
    KUBERNETES_SERVICE,
    NODE,
    NODE_ADDRESS,
    PODS,
    SERVICES,
    Layout,
)

NODE_IMAGE = "slipstream.dev/node-helper:1"
_ETCD_URL = "http://127.0.0.1:2379"
_CONTROL_PLANE = {"etcd", "kube-apiserver", "kube-controller-manager"}
_KEYS = INNER_STATE / "keys"
_CONFIGURATION = INNER_STATE / "configuration"
_MASTERS = "system:masters"
_AGGREGATOR = "aggregator"
_POLICIES_USER = "slipstream:network-policies"
_POLICY_AGENT = Path(__file__).with_name("policy_agent.py")
# User and group of everyone who talks to the API server.
_USERS = {
    "admin": ("slipstream-admin", _MASTERS),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}


def write_all(layout: Layout, snapshotter: str, cni_plugins: Path) -> None:
    """Write keys and configuration below the state folder, and the administrator's kubeconfig where users look."""
    keys, configuration = layout.state / "keys", layout.state / "configuration"
    keys.mkdir(mode=0o700)
    (configuration / "cni").mkdir(parents=True)
    _write_credentials(layout, keys)
    for name, content in {
        "kubelet.json": _kubelet(),
        "audit.json": _audit_policy(),
        "cni/10-slipstream.conflist": _network(),
    }.items():
        (configuration / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    (configuration / "containerd.toml").write_text(_containerd(snapshotter, cni_plugins), encoding="utf-8")
    # Nothing outside can be reached, and names outside get their refusal from the cluster's own DNS.
    (configuration / "resolv.conf").write_text(f"nameserver {DNS_SERVICE}\n", encoding="utf-8")


def commands() -> dict[str, list[str]]:
    """The command line of each component, in the order of their start."""
    kubernetes = {
        "kube-apiserver": _apiserver_flags(),
        "kube-controller-manager": _controller_manager_flags(),
        "kube-scheduler": {**_user("kube-scheduler"), "leader-elect": "false"},
        "kubelet": _kubelet_flags(),
        "kube-proxy": _proxy_flags(),
    }
    return {
        "etcd": _command("etcd", _etcd_flags()),
        "containerd": ["containerd", f"--config={_CONFIGURATION}/containerd.toml"],
        **{name: _command(name, flags) for name, flags in kubernetes.items()},
        "network-policies": [sys.executable, "-B", str(_POLICY_AGENT), str(_KEYS)],
    }


def _command(name: str, flags: dict[str, str]) -> list[str]:
    folder = "control-plane" if name in _CONTROL_PLANE else "node"
    return [str(INNER_PROGRAMS / folder / name), *(f"--{flag}={value}" for flag, value in flags.items())]


def _write_credentials(layout: Layout, keys: Path) -> None:
    authority = new_authority()
    authority.identity.write(keys, "authority")
    service = "kubernetes.default.svc"
    names = ["localhost", "kubernetes", "kubernetes.default", service, f"{service}.{DOMAIN}"]
    addresses = ["127.0.0.1", NODE_ADDRESS, KUBERNETES_SERVICE]
    authority.issue("kube-apiserver", hosts=[*names, *addresses]).write(keys, "kube-apiserver")
    authority.issue("kube-apiserver", [_MASTERS]).write(keys, "kubelet-client")
    authority.issue("service-accounts").write(keys, "service-accounts")
    authority.issue(_POLICIES_USER).write(keys, "network-policies")
    aggregation = new_authority()  # one of its own, as who holds its certificate may speak for any user
    aggregation.identity.write(keys, "aggregation-authority")
    aggregation.issue(_AGGREGATOR).write(keys, _AGGREGATOR)
    for name in _USERS:
        file = layout.kubeconfig if name == "admin" else keys / f"{name}.kubeconfig"
        write_kubeconfig(file, API_URL, authority, _issue_user(authority, name))


def _issue_user(authority: Authority, name: str) -> Identity:
    user, group = _USERS[name]
    return authority.issue(user, [group] if group else [])


def _user(name: str) -> dict[str, str]:
    file = str(_KEYS / f"{name}.kubeconfig")
    return {"kubeconfig": file, "authentication-kubeconfig": file, "authorization-kubeconfig": file}


def _etcd_flags() -> dict[str, str]:
    return {
        "data-dir": str(INNER_STATE / "etcd"),
        "listen-client-urls": _ETCD_URL,
        "advertise-client-urls": _ETCD_URL,
        "listen-peer-urls": "http://127.0.0.1:2380",
        "log-level": "warn",
        "unsafe-no-fsync": "true",  # a cluster that crashed is never started again
    }


def _apiserver_flags() -> dict[str, str]:
    return {
        "etcd-servers": _ETCD_URL,
        "secure-port": str(API_PORT),
        "advertise-address": NODE_ADDRESS,
        "service-cluster-ip-range": str(SERVICES),
        "client-ca-file": f"{_KEYS}/authority.crt",
        "tls-cert-file": f"{_KEYS}/kube-apiserver.crt",
        "tls-private-key-file": f"{_KEYS}/kube-apiserver.key",
        "kubelet-client-certificate": f"{_KEYS}/kubelet-client.crt",
        "kubelet-client-key": f"{_KEYS}/kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": f"https://kubernetes.default.svc.{DOMAIN}",
        "service-account-key-file": f"{_KEYS}/service-accounts.crt",
        "service-account-signing-key-file": f"{_KEYS}/service-accounts.key",
        "proxy-client-cert-file": f"{_KEYS}/{_AGGREGATOR}.crt",
        "proxy-client-key-file": f"{_KEYS}/{_AGGREGATOR}.key",
        "requestheader-client-ca-file": f"{_KEYS}/aggregation-authority.crt",
        "requestheader-allowed-names": _AGGREGATOR,
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "audit-policy-file": f"{_CONFIGURATION}/audit.json",
        "audit-log-path": f"{INNER}/logs/audit.log",
    }


def _controller_manager_flags() -> dict[str, str]:
    return {
        **_user("kube-controller-manager"),
        "authentication-tolerate-lookup-failure": "true",  # the API server may be a second behind
        "kube-api-qps": "200",  # its own limit of 20 would make up most of the start
        "kube-api-burst": "400",
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": f"{_KEYS}/service-accounts.key",
        "root-ca-file": f"{_KEYS}/authority.crt",
        "cluster-signing-cert-file": f"{_KEYS}/authority.crt",
        "cluster-signing-key-file": f"{_KEYS}/authority.key",
    }


def _kubelet_flags() -> dict[str, str]:
    return {
        "config": f"{_CONFIGURATION}/kubelet.json",
        "kubeconfig": f"{_KEYS}/kubelet.kubeconfig",
        "hostname-override": NODE,
        "node-ip": NODE_ADDRESS,
    }


def _proxy_flags() -> dict[str, str]:
    return {
        "kubeconfig": f"{_KEYS}/kube-proxy.kubeconfig",
        "hostname-override": NODE,
        "proxy-mode": "iptables",
        "cluster-cidr": str(PODS),
        # These would set limits of the whole machine.
        "conntrack-max-per-core": "0",
        "conntrack-tcp-timeout-established": "0s",
        "conntrack-tcp-timeout-close-wait": "0s",
    }


def _kubelet() -> dict[str, Any]:
    never = {
        "memory.available": "100Mi",
        "nodefs.available": "0%",
        "nodefs.inodesFree": "0%",
        "imagefs.available": "0%",
    }
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": f"{_KEYS}/authority.crt"}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "evictionHard": never,  # the machine's disk is its owner's business
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,  # an image that was loaded cannot be pulled again
        "oomScoreAdj": 0,  # a lower one needs a capability that root in a container may lack
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",  # not below the host's /usr
        "resolvConf": f"{_CONFIGURATION}/resolv.conf",
    }


def _audit_policy() -> dict[str, Any]:
    rules = [{"level": "Metadata"}]
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}


def _network() -> dict[str, Any]:
    pool = {"type": "host-local", "ranges": [[{"subnet": str(PODS)}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": pool}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "slipstream", "plugins": [bridge, ports]}


def _containerd(snapshotter: str, cni_plugins: Path) -> str:
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{NODE_IMAGE}"
# A lower score than our own needs a capability that root in a container may lack.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{_CONFIGURATION}/cni"
"""
