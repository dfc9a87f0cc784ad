"""Bring image archives into the cluster's containerd, where the kubelet finds them without a registry."""

import subprocess
from pathlib import Path

from archives import write_archive
from components import NODE_IMAGE
from layout import CONTAINERD_SOCKET, Layout
from programs import COREDNS, PROVISIONER, Programs, architecture
from running import Running
from saying import ClusterError

COREDNS_IMAGE = f"slipstream.dev/coredns:{COREDNS.module.version}"
PROVISIONER_IMAGE = f"slipstream.dev/local-path-provisioner:{PROVISIONER.module.version}"


def load_own(running: Running, layout: Layout, programs: Programs) -> None:
    """Load the images of what the cluster itself runs in pods."""
    own = {NODE_IMAGE: programs.helper, COREDNS_IMAGE: programs.coredns, PROVISIONER_IMAGE: programs.provisioner}
    for reference, program in own.items():
        archive = layout.state / f"{program.name}.tar"
        write_archive(archive, reference, program, architecture())
        load(running, archive)
        archive.unlink()


def load(running: Running, archive: Path) -> str:
    """Import the archive, of `docker save` or of an OCI layout, and return the lines that name its images."""
    namespaces = ["nsenter", f"--target={running.process_id}", "--mount", "--pid"]
    command = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", "import", "-"]
    with archive.open("rb") as content:
        done = subprocess.run([*namespaces, *command], stdin=content, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{archive} cannot be loaded: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()
