"""A real cluster with a node, pods and a network, driven by the command that `make cluster` runs."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from slipstream_testing.control_plane import provide_binaries
from slipstream_testing.kubectl import Kubectl

_ROOT = Path(__file__).parents[3]
_NUMBER = int(os.environ.get("SLIPSTREAM_CLUSTER_NUMBER") or 0)


@dataclass(frozen=True)
class RealCluster:
    """The cluster that is kept below the folder, whether or not it runs now.

    Clusters with different numbers run side by side.
    """

    folder: Path = _ROOT / ".slipstream" / f"cluster{_NUMBER or ''}"
    number: int = _NUMBER

    @property
    def kubeconfig(self) -> Path:
        """An administrator's."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """A line of JSON for every request to the API server."""
        return self.folder / "logs" / "audit.log"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return Kubectl(provide_binaries() / "kubectl", self.kubeconfig, self.folder / "kubectl-cache")

    @property
    def process_id(self) -> int:
        """The cluster's first process."""
        record = Path(f"/run/slipstream-cluster{self.number}.json")
        recorded: int = json.loads(record.read_text())["process_id"]
        return recorded

    def command(self, *arguments: str) -> list[str]:
        """The command line of hack/cluster with these arguments."""
        return [sys.executable, str(_ROOT / "hack" / "cluster"), f"--folder={self.folder}", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """What to run that command in."""
        return {**os.environ, "SLIPSTREAM_CLUSTER_NUMBER": str(self.number)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run hack/cluster with these arguments."""
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def is_up(self) -> bool:
        """Whether it runs."""
        return self.run("status").returncode == 0

    def up(self) -> None:
        """Start it with its progress in sight, or do nothing if it runs; raises CalledProcessError."""
        subprocess.run(self.command("up"), env=self.environment, stdout=subprocess.DEVNULL, check=True)

    def down(self) -> None:
        """End it; raises CalledProcessError."""
        subprocess.run(self.command("down"), env=self.environment, check=True)

    def load(self, archive: Path) -> None:
        """Bring the images of an archive to the node; raises AssertionError."""
        done = self.run("load", str(archive))
        assert done.returncode == 0, done.stderr
