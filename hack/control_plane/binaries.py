"""Name the control plane's binaries and where they are kept, so that all checkouts of a version share one build."""

import fcntl
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

KUBERNETES_VERSION = "v1.34.4"
ETCD_VERSION = "v3.6.16"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")

_GO_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ControlPlaneError(Exception):
    """The binaries cannot be provided; the message is one line that says what to do."""


def say(message: str) -> None:
    """Report progress on stderr: stdout carries only the answer."""
    print(f"control plane: {message}", file=sys.stderr, flush=True)


def go_platform() -> tuple[str, str]:
    """This machine's operating system and architecture, as Go names them."""
    architecture = _GO_ARCHITECTURES.get(platform.machine().lower())
    if architecture is None or sys.platform not in {"linux", "darwin"}:
        raise ControlPlaneError(
            f"no control plane for {sys.platform} on {platform.machine()}: use Linux or macOS on amd64 or arm64"
        )
    return sys.platform, architecture


def cache_root(environ: Mapping[str, str]) -> Path:
    """Where everything that is built once for all checkouts is kept."""
    user_cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environ.get("SLIPSTREAM_CACHE") or Path(user_cache) / "slipstream").absolute()


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where the binaries of these versions for this machine are kept, whether or not they are there yet."""
    system, architecture = go_platform()
    name = f"{KUBERNETES_VERSION}-{ETCD_VERSION}-{system}-{architecture}"
    return cache_root(environ) / "control-plane" / name


def missing_from(folder: Path, names: Sequence[str] = NAMES) -> list[str]:
    """The binaries that the folder does not hold as executable files."""
    return [name for name in names if not os.access(folder / name, os.X_OK)]


def ready_made(environ: Mapping[str, str]) -> Path | None:
    """The folder that the user chose in KUBEBUILDER_ASSETS, if any; an incomplete one is refused, never mixed."""
    if not (chosen := environ.get("KUBEBUILDER_ASSETS")):
        return None
    if missing := missing_from(Path(chosen)):
        # Binaries of our version beside a stranger's would be a version skew that Kubernetes does not support.
        raise ControlPlaneError(
            f"KUBEBUILDER_ASSETS={chosen} lacks {', '.join(missing)}: add the same version there, "
            "or unset KUBEBUILDER_ASSETS to have all of them built from source"
        )
    return Path(chosen).absolute()


@contextmanager
def only_builder_of(folder: Path) -> Iterator[None]:
    """Hold the right to fill the folder; a second run waits. The kernel drops the lock when its holder dies."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is filling {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
