"""Slipstream on a real cluster as an administrator brings it there: images loaded, the chart installed by helm."""

import json
import subprocess
import sys
from pathlib import Path

from slipstream_testing.real_cluster import RealCluster

ROOT = Path(__file__).parents[3]
NAMESPACE = "slipstream-system"
NAME = "slipstream"
_PROGRAMS = ("operator", "builder", "runtime")
_CHART = str(ROOT / "charts" / "slipstream")
_WAIT = ("--wait", "--timeout=120s")


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


def install(cluster: RealCluster) -> None:
    """Install the chart in a namespace that enforces Pod Security's `restricted`, and wait until it works.

    Replicas come and go quickly, and builds take no more than a small machine has.
    """
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(namespace))
    values = {"scalingProfile": "fast", "builder.cpu": "500m", "builder.memory": "2Gi"}
    helm(cluster, "install", NAME, _CHART, *_settings(values), *_WAIT)


def upgrade(cluster: RealCluster, **values: str) -> None:
    """Upgrade the release with these values beside those it has, and wait until it works."""
    helm(cluster, "upgrade", NAME, _CHART, "--reuse-values", *_settings(values), *_WAIT)


def uninstall(cluster: RealCluster) -> None:
    """Remove the release, the definition it keeps, and its namespace."""
    helm(cluster, "uninstall", NAME, "--ignore-not-found", *_WAIT)
    cluster.kubectl("delete", "customresourcedefinition", "agentdeployments.slipstream.dev", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def helm(cluster: RealCluster, *arguments: str) -> str:
    """Run helm in the release's namespace, and return what it prints; raises AssertionError."""
    where = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={NAMESPACE}"]
    program = str(provided_by("control_plane/helm.py"))
    done = subprocess.run([program, *where, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


def _settings(values: dict[str, str]) -> list[str]:
    return [f"--set={key}={value}" for key, value in values.items()]
