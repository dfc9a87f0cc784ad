"""The back ends for clusters that others run: kind, where Docker is at hand, and whatever a kubeconfig leads to."""

import subprocess
from pathlib import Path

from certificates import write_secret
from layout import Layout
from saying import ClusterError, step

_NAME = "slipstream"


class Kind:
    """A cluster of kind's."""

    def __init__(self, layout: Layout) -> None:
        """Keep its kubeconfig below this folder."""
        self._kubeconfig = layout.kubeconfig

    def up(self) -> None:
        """Create the cluster, unless it is there already."""
        with step("the cluster of kind is ready"):
            if _NAME in _output("kind", "get", "clusters").split():
                _output("kind", "export", "kubeconfig", f"--name={_NAME}", f"--kubeconfig={self._kubeconfig}")
            else:
                wait = "--wait=120s"
                _output("kind", "create", "cluster", f"--name={_NAME}", f"--kubeconfig={self._kubeconfig}", wait)

    def down(self) -> None:
        """Delete the cluster."""
        with step("the cluster of kind is deleted"):
            _output("kind", "delete", "cluster", f"--name={_NAME}", f"--kubeconfig={self._kubeconfig}")
            self._kubeconfig.unlink(missing_ok=True)

    def status(self) -> str:
        """Its name; raises ClusterError if it does not run."""
        if _NAME not in _output("kind", "get", "clusters").split():
            raise ClusterError(f"kind has no cluster {_NAME}: `make cluster BACKEND=kind` creates it")
        return f"kind's cluster {_NAME}"

    def load(self, archive: Path) -> None:
        """Load an image archive."""
        with step(f"{archive} is loaded"):
            _output("kind", "load", "image-archive", str(archive), f"--name={_NAME}")


class Existing:
    """A cluster that is there already: the one that kubectl talks to."""

    def __init__(self, layout: Layout) -> None:
        """Keep its kubeconfig below this folder."""
        self._kubeconfig = layout.kubeconfig

    def up(self) -> None:
        """Copy the current context, from KUBECONFIG or where kubectl looks else, and see whether it answers."""
        with step("the cluster answers"):
            current = _output("kubectl", "config", "view", "--raw", "--minify", "--flatten")
            write_secret(self._kubeconfig, current.encode())
            _output("kubectl", f"--kubeconfig={self._kubeconfig}", "get", "--raw=/readyz")

    def down(self) -> None:
        """Forget the copy; the cluster is its owner's."""
        self._kubeconfig.unlink(missing_ok=True)

    def status(self) -> str:
        """Where it is; raises ClusterError if it does not answer."""
        return _output("kubectl", f"--kubeconfig={self._kubeconfig}", "cluster-info").splitlines()[0]

    def load(self, archive: Path) -> None:
        """Refuse: there is no way to the nodes."""
        raise ClusterError(f"cannot load {archive}: push it to a registry that this cluster pulls from")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not on PATH: install it, or use another BACKEND") from None
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise ClusterError(f"`{' '.join(command)}` failed: {said}")
    return done.stdout
