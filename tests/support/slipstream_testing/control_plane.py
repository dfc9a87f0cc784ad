"""A real Kubernetes control plane on this machine, without nodes, for tests that must not take a fake's word for it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

from slipstream_testing.api import Api, ApiError, Json
from slipstream_testing.components import Component, free_ports
from slipstream_testing.credentials import write_kubeconfig, write_service_account_key, write_tokens
from slipstream_testing.flags import apiserver_flags, controller_manager_flags, etcd_flags
from slipstream_testing.kubectl import Kubectl
from slipstream_testing.waiting import eventually

_BUILD = Path(__file__).parents[3] / "hack" / "control_plane" / "build.py"
_START_SECONDS = 60
_CONTROLLER_MANAGER = "system:kube-controller-manager"


def provide_binaries() -> Path:
    """The folder with etcd, kube-apiserver, kube-controller-manager and kubectl; the very first call builds them."""
    done = subprocess.run([sys.executable, str(_BUILD)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no control plane to test with: `python3 {_BUILD}` says why")
    return Path(done.stdout.splitlines()[-1])


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager, from `start` to `stop` or for the length of a `with` block.

    RBAC is on. `token`, `kubeconfig`, `api` and `kubectl` belong to an administrator; `service_account_kubeconfig`
    makes lesser identities. `manifests` are applied before the controllers start: give custom resource definitions
    there, because the garbage collector looks for new kinds only every 30 seconds.
    """

    def __init__(self, binaries: Path, manifests: Sequence[Path] = ()) -> None:
        """Prepare a folder and credentials; nothing runs yet."""
        self._binaries = binaries
        self._manifests = manifests
        self.folder = Path(tempfile.mkdtemp(prefix="slipstream-control-plane-"))
        self.certificate_authority = self.folder / "certificates" / "apiserver.crt"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.kubectl = Kubectl(binaries / "kubectl", self.kubeconfig, self.folder / "kubectl-cache")
        self.audit_log = self.folder / "audit.log"
        etcd_port, peer_port, port = free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self._etcd_address = f"127.0.0.1:{etcd_port}"
        etcd_url = f"http://{self._etcd_address}"
        key_file, token_file = self.folder / "service-account.key", self.folder / "tokens.csv"
        write_service_account_key(key_file)
        groups = {"admin": "system:masters", _CONTROLLER_MANAGER: "system:authenticated"}
        self._tokens = write_tokens(token_file, groups)
        self.token = self._tokens["admin"]
        self.api = Api(self.url, self.token, self.certificate_authority)
        self._etcd = self._component("etcd", etcd_flags(self.folder, etcd_url, f"http://127.0.0.1:{peer_port}"))
        self._apiserver = self._component(
            "kube-apiserver", apiserver_flags(self.folder, port, etcd_url, token_file, key_file)
        )
        self._manager_kubeconfig = self.folder / "controller-manager.kubeconfig"
        self._manager = self._component(
            "kube-controller-manager",
            controller_manager_flags(self._manager_kubeconfig, self.certificate_authority, key_file),
        )

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def pids(self) -> list[int]:
        """The process ids of the components that run now."""
        return [one.pid for one in (self._etcd, self._apiserver, self._manager) if one.pid is not None]

    def start(self) -> None:
        """Start all components, and return when the API is ready and its controllers have begun to work."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all components, the dependent ones first, and remove the folder."""
        for component in (self._manager, self._apiserver, self._etcd):
            component.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_apiserver(self) -> None:
        """Take the API away, as an upgrade or a crash of the control plane's machine would."""
        self._apiserver.stop()

    def start_apiserver(self) -> None:
        """Bring the API back, at the same address and with the same data."""
        self._apiserver.start()
        self._wait_for(self._apiserver, lambda: self.api.text("/readyz") == "ok")

    def restart_apiserver(self) -> None:
        """Break every connection and watch to the API server."""
        self.stop_apiserver()
        self.start_apiserver()

    def service_account_kubeconfig(self, namespace: str, name: str, manifest: str = "") -> Path:
        """Create the namespace and service account, apply the RBAC manifest, and return that account's kubeconfig."""
        self.api.apply(f"/api/v1/namespaces/{namespace}", _named("Namespace", namespace))
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        self.api.apply(account, _named("ServiceAccount", name))
        if manifest:
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=manifest)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.api.create(f"{account}/token", request)["status"]["token"]
        file = self.folder / f"{namespace}.{name}.kubeconfig"
        return write_kubeconfig(file, self.url, self.certificate_authority, token)

    def _start(self) -> None:
        self._etcd.start()
        self._wait_for(self._etcd, lambda: _is_ok(self._etcd_address, "/readyz"))
        self.start_apiserver()
        for file, user in ((self.kubeconfig, "admin"), (self._manager_kubeconfig, _CONTROLLER_MANAGER)):
            write_kubeconfig(file, self.url, self.certificate_authority, self._tokens[user])
        for manifest in self._manifests:
            self.kubectl("apply", "--server-side", "-f", str(manifest))
        # A kind that is not served yet when the garbage collector first looks would be missed; no kinds is no fault.
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s", check=False)
        self._manager.start()
        # Every pod needs this account, and making it takes a working controller manager.
        self._wait_for(self._manager, lambda: self.api.exists("/api/v1/namespaces/default/serviceaccounts/default"))

    def _component(self, name: str, flags: dict[str, str]) -> Component:
        return Component(self._binaries / name, flags, self.folder)

    def _wait_for(self, component: Component, is_ready: Callable[[], bool]) -> None:
        """Wait until the component serves; if it exits or takes too long, show what it wrote last."""
        try:
            eventually(lambda: component.pid is None or _quietly(is_ready), _START_SECONDS)
        except AssertionError:
            raise RuntimeError(
                f"{component.name} is not ready after {_START_SECONDS} s:\n{component.log_tail()}"
            ) from None
        if component.pid is None:
            raise RuntimeError(f"{component.name} exited while starting:\n{component.log_tail()}")


def _named(kind: str, name: str) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def _is_ok(address: str, path: str) -> bool:
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _quietly(is_ready: Callable[[], bool]) -> bool:
    """Whether it is ready; a server that does not answer yet is not."""
    try:
        return is_ready()
    except (OSError, HTTPException, ApiError):
        return False
