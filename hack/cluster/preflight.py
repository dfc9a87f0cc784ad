"""Look for what a cluster from source needs of this machine, and say in one line what is missing and how to get it."""

import json
import os
import shutil
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

from layout import HOST_INTERFACE, LINK, PODS, SERVICES
from saying import ClusterError, say, step

# The Debian package of each command.
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
}
_PLUGINS = "containernetworking-plugins"
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_MODULES = ("overlay", "br_netfilter")


def require_root() -> None:
    """Refuse whoever may not make namespaces, mounts and cgroups; raises ClusterError."""
    if not sys.platform.startswith("linux"):
        raise ClusterError(f"a cluster from source needs Linux, not {sys.platform}: use BACKEND=kind")
    if os.geteuid() != 0:
        raise ClusterError("a cluster from source needs root: run it with sudo, or use BACKEND=kind")


def require_machine() -> None:
    """Return if a cluster can run here; missing Debian packages are installed. Raises ClusterError."""
    _require_packages()
    _require_free_addresses()
    for module in _MODULES:
        _load(module)
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        raise ClusterError("this kernel has no br_netfilter, so Services would not work: enable that module")


def plugin_folder() -> Path:
    """Where the CNI plug-ins are; raises ClusterError."""
    for folder in _PLUGIN_FOLDERS:
        if os.access(folder / "bridge", os.X_OK):
            return folder
    raise ClusterError(f"no CNI plug-ins in {', '.join(map(str, _PLUGIN_FOLDERS))}: apt-get install {_PLUGINS}")


def snapshotter(state: Path) -> str:
    """The way containerd stacks image layers: overlayfs where the folder's file system can be its upper layer."""
    kind = subprocess.check_output(["stat", "--file-system", "--format=%T", str(state)], text=True).strip()
    if kind in {"overlayfs", "tmpfs", "nfs"} or "overlay" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
        say(f"{state} is on {kind}, which cannot hold overlays: images are copied for each container, which is slow")
        return "native"
    return "overlayfs"


def _require_packages() -> None:
    missing = [package for command, package in _PACKAGES.items() if shutil.which(command) is None]
    if not any(folder.is_dir() for folder in _PLUGIN_FOLDERS):
        missing.append(_PLUGINS)
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if shutil.which("apt-get") is None:
        raise ClusterError(f"install these first: {', '.join(missing)} (the names are Debian's)")
    say(f"these packages are missing, so as root I run: {' '.join(install)}")
    with step("the packages are installed"):
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "--quiet=2"], env=environ, capture_output=True, check=False)
        done = subprocess.run(install, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(install)}` failed: {done.stderr.strip().splitlines()[-1]}")


def _require_free_addresses() -> None:
    """Refuse to hide a network that the machine already has a way to."""
    if Path("/sys/class/net", HOST_INTERFACE).exists():
        raise ClusterError(f"there is a network interface {HOST_INTERFACE} already: remove it (ip link delete)")
    for route in json.loads(subprocess.check_output(["ip", "-json", "-4", "route", "show"])):
        if route["dst"] == "default":
            continue
        for network in (LINK, PODS, SERVICES):
            if network.overlaps(IPv4Network(route["dst"])):
                raise ClusterError(f"{network} is taken: there is a route to {route['dst']}; see `ip route`")


def _load(module: str) -> None:
    if shutil.which("modprobe"):  # what is built into the kernel needs no loading, and then this fails
        subprocess.run(["modprobe", "--quiet", module], check=False)
