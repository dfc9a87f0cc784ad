"""Slipstream on a real cluster as an administrator brings it there: images loaded, the chart installed by helm."""

import subprocess
import sys
from pathlib import Path

from slipstream_testing.real_cluster import RealCluster

ROOT = Path(__file__).parents[3]
NAMESPACE = "slipstream-system"
NAME = "slipstream"
_PROGRAMS = ("operator", "builder", "runtime")


def provided_by(script: str) -> Path:
    """What a script of hack/ builds or finds, its progress in sight: the last line of its stdout."""
    done = subprocess.run([sys.executable, str(ROOT / "hack" / script)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`python3 hack/{script}` says above why it failed")
    return Path(done.stdout.splitlines()[-1])


def load_images(cluster: RealCluster) -> None:
    """Bring this checkout's images to the node, unless they are the last that were brought there."""
    archives = provided_by("images/build.py")
    loaded, now = cluster.folder / "images-loaded", f"{cluster.process_id} {archives}"
    if loaded.exists() and loaded.read_text() == now:
        return
    for program in _PROGRAMS:
        cluster.load(archives / f"{program}.tar")
    loaded.write_text(now)


def install(cluster: RealCluster, **values: str) -> None:
    """Install the chart in a namespace that enforces Pod Security's `restricted`, and wait until it works."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    settings = [f"--set={key}={value}" for key, value in values.items()]
    _helm(cluster, "install", NAME, str(ROOT / "charts" / "slipstream"), *settings, "--wait", "--timeout=120s")


def uninstall(cluster: RealCluster) -> None:
    """Remove the release, the definition it keeps, and its namespace."""
    _helm(cluster, "uninstall", NAME, "--wait", "--ignore-not-found")
    cluster.kubectl("delete", "customresourcedefinition", "agentdeployments.slipstream.dev", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def _helm(cluster: RealCluster, *arguments: str) -> None:
    where = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={NAMESPACE}"]
    helm = provided_by("control_plane/helm.py")
    done = subprocess.run([str(helm), *where, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr.strip()}"
