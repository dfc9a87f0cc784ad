"""The operator as a process of its own, with its real service account and only its real rights."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self

from slipstream_testing.control_plane import ControlPlane

OWN_NAMESPACE = "slipstream-system"
ACCOUNT = "slipstream-operator"
USER = f"system:serviceaccount:{OWN_NAMESPACE}:{ACCOUNT}"
"""Who the API server takes the operator for."""

_HACK = Path(__file__).parents[3] / "hack"
_TETHER = Path(__file__).with_name("tether.py")
_STOP_SECONDS = 40
_NUMBERS = count(1)


class OperatorProcess:
    """One operator that watches one namespace, or all; `with` starts and stops it."""

    def __init__(
        self,
        control_plane: ControlPlane,
        namespace: str,
        *flags: str,
        name: str = "operator",
        everywhere: bool = False,
    ) -> None:
        """Give the operator its rights in the namespace or `everywhere`; nothing runs yet."""
        self._kubeconfig = rights(control_plane, [namespace], everywhere)
        self.log = control_plane.folder / f"{namespace}.{name}.log"
        self._flags = (
            *(() if everywhere else (f"--namespace={namespace}",)),
            f"--lease-name={namespace}",
            f"--lease-namespace={OWN_NAMESPACE}",
            f"--identity={name}",
            "--liveness-port=0",
            *flags,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; the operator must end by itself and well."""
        self.stop()

    def start(self) -> None:
        """Start the operator."""
        tether = [sys.executable, "-I", str(_TETHER), str(os.getpid())]
        command = [sys.executable, "-m", "slipstream_operator.cluster", *self._flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig), "MALLOC_ARENA_MAX": "1"},  # as the chart does
            )

    def kill(self) -> None:
        """End the operator as a crash would, with no chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask the operator to end, and return its exit status; one that does not is killed and reported."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the operator did not end within {_STOP_SECONDS} s:\n{self.words()}") from None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def words(self) -> str:
        """Return what the operator wrote."""
        return self.log.read_text(errors="replace")


def rights(control_plane: ControlPlane, namespaces: Sequence[str], everywhere: bool = False) -> Path:
    """Give the operator its rights in the namespaces or `everywhere`, and return its kubeconfig."""
    rbac = (_HACK / "rbac.yaml").read_text()
    kubeconfig = control_plane.service_account_kubeconfig(OWN_NAMESPACE, ACCOUNT, rbac)
    binding = _HACK / ("rbac-cluster.yaml" if everywhere else "rbac-namespace.yaml")
    for namespace in namespaces:
        control_plane.kubectl("apply", "--namespace", namespace, "-f", str(binding))
    return kubeconfig


def remove_cluster_rights(control_plane: ControlPlane) -> None:
    """Take away what `everywhere` gave, so that the next operator has its own namespace's rights only."""
    control_plane.kubectl("delete", "-f", str(_HACK / "rbac-cluster.yaml"))


@contextmanager
def operated_namespace(control_plane: ControlPlane, *flags: str) -> Iterator[tuple[str, OperatorProcess]]:
    """Run an operator over a new namespace until the block ends; give the namespace's name and the operator."""
    namespace = f"operated-{next(_NUMBERS)}"
    control_plane.kubectl("create", "namespace", namespace)
    try:
        with OperatorProcess(control_plane, namespace, *flags) as operator:
            yield namespace, operator
    finally:
        control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
