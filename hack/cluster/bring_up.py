"""Bring a started cluster to where pods can run: wait for its parts, load its own images, install its add-ons."""

import subprocess
import time
from pathlib import Path
from string import Template

from components import NODE_IMAGE
from images import COREDNS_IMAGE, PROVISIONER_IMAGE, load_own
from layout import CONTAINERD_SOCKET, DNS_SERVICE, DOMAIN, NODE, Layout
from programs import Programs
from running import Running, started_at
from saying import ClusterError, step

_MANIFESTS = Path(__file__).parent / "manifests"
_VALUES = {
    "DOMAIN": DOMAIN,
    "DNS_SERVICE": DNS_SERVICE,
    "NODE_IMAGE": NODE_IMAGE,
    "COREDNS_IMAGE": COREDNS_IMAGE,
    "PROVISIONER_IMAGE": PROVISIONER_IMAGE,
}
_WAIT_SECONDS = 120
_POLL_SECONDS = 0.2


class BringUp:
    """The steps for one cluster; every one may be repeated."""

    def __init__(self, running: Running, layout: Layout, programs: Programs) -> None:
        """Take the steps with these."""
        self._running = running
        self._layout = layout
        self._programs = programs

    def run(self) -> None:
        """All steps in order; raises ClusterError."""
        with step("the cluster's own images are loaded"):
            self._until_containerd_listens()
            load_own(self._running, self._layout, self._programs)
        with step("the API server is ready"):
            self._until("--raw=/readyz", verb="get")
        with step("DNS and storage are installed"):
            for manifest in sorted(_MANIFESTS.glob("*.yaml")):
                filled = Template(manifest.read_text(encoding="utf-8")).substitute(_VALUES)
                self._kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", content=filled)
        with step("the node is ready"):
            self._until("--for=create", f"node/{NODE}", "--timeout=5s", verb="wait")
            self._until("--for=condition=Ready", f"node/{NODE}", "--timeout=5s", verb="wait")
        with step("DNS and storage are ready"):
            for namespace, deployment in {
                "kube-system": "coredns",
                "local-path-storage": "local-path-provisioner",
            }.items():
                self._until(
                    "--for=condition=Available",
                    f"--namespace={namespace}",
                    f"deployment/{deployment}",
                    "--timeout=5s",
                    verb="wait",
                )

    def _until(self, *arguments: str, verb: str) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while (done := self._try(verb, *arguments)).returncode:
            self._still_running(deadline, f"kubectl {verb} {' '.join(arguments)}: {done.stderr.strip()}")
            time.sleep(_POLL_SECONDS)

    def _until_containerd_listens(self) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        socket = Path(f"/proc/{self._running.process_id}/root{CONTAINERD_SOCKET}")
        while not socket.exists():
            self._still_running(deadline, f"there is no {CONTAINERD_SOCKET}")
            time.sleep(_POLL_SECONDS)

    def _still_running(self, deadline: float, trouble: str) -> None:
        """Raise if waiting on makes no sense."""
        if started_at(self._running.process_id) != self._running.started:
            raise ClusterError(f"the cluster's first process has ended: see {self._layout.logs / 'supervisor.log'}")
        if time.monotonic() > deadline:
            last = trouble.splitlines()[-1]
            raise ClusterError(f"not ready after {_WAIT_SECONDS} s: {last}; the logs are in {self._layout.logs}")

    def _kubectl(self, *arguments: str, content: str) -> None:
        done = self._try(*arguments, content=content)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")

    def _try(self, *arguments: str, content: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self._programs.control_plane / "kubectl"), f"--kubeconfig={self._layout.kubeconfig}", *arguments]
        return subprocess.run(command, input=content, capture_output=True, text=True, check=False)
