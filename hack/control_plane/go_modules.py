"""Fetch the Go modules of etcd and Kubernetes, check them against pinned sums, and make each buildable on its own.

Both expect sibling modules in neighbouring folders, which the published archives leave out. The archives stay untouched
in Go's module cache: an edited go.mod, given to go as -modfile, takes the siblings at their published version instead.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from binaries import ETCD_VERSION, KUBERNETES_VERSION, ControlPlaneError, say

_PINNED_SUMS = Path(__file__).parent / "module_sums.txt"
_NEIGHBOUR = re.compile(r"^\s*\S+ => (?:\.\./|\./staging/)\S+\n", re.MULTILINE)
_PLACEHOLDER = re.compile(r"^(\s*k8s\.io/\S+) v0\.0\.0$", re.MULTILINE)


@dataclass(frozen=True)
class Module:
    """A published Go module, the version of its siblings in the repository, and the package of a program in it."""

    path: str
    version: str
    sibling_version: str
    main: str = "./cmd/{name}"


@dataclass(frozen=True)
class Source:
    """A module that is ready to build: run go in `folder` with `-modfile=modfile`; `main` is as in `Module`."""

    folder: Path
    modfile: Path
    main: str


ETCD = Module("go.etcd.io/etcd/server/v3", ETCD_VERSION, ETCD_VERSION, main=".")
KUBERNETES = Module("k8s.io/kubernetes", KUBERNETES_VERSION, KUBERNETES_VERSION.replace("v1.", "v0."))


def prepare(module: Module, workspace: Path, environ: Mapping[str, str]) -> Source:
    """Download and verify the module, and write the go.mod and go.sum to build it with into the workspace."""
    archive = _download(module, workspace, environ)
    files = workspace / module.path.replace("/", "_")
    files.mkdir()
    modfile = files / "go.mod"
    modfile.write_text(with_published_siblings((archive / "go.mod").read_text(), module.sibling_version))
    sums = (archive / "go.sum").read_text().splitlines() + _pinned_sums()
    (files / "go.sum").write_text("\n".join(sums) + "\n")
    return Source(archive, modfile, module.main)


def with_published_siblings(go_mod: str, version: str) -> str:
    """The go.mod without its neighbouring folders, and with their published version where it has a placeholder."""
    return _PLACEHOLDER.sub(rf"\1 {version}", _NEIGHBOUR.sub("", go_mod))


def _download(module: Module, workspace: Path, environ: Mapping[str, str]) -> Path:
    wanted = f"{module.path}@{module.version}"
    say(f"fetching {wanted}")
    command = ["go", "mod", "download", "-json", wanted]
    # The sum is checked below, so the build also works where the public checksum database cannot be reached.
    offline = {**environ, "GONOSUMDB": module.path}
    done = subprocess.run(command, cwd=workspace, env=offline, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout or "{}")
    if done.returncode:
        reason = " ".join(str(answer.get("Error") or done.stderr).split())
        raise ControlPlaneError(f"cannot download {wanted}: {reason}; check the network and GOPROXY")
    if f"{module.path} {module.version} {answer['Sum']}" not in _pinned_sums():
        raise ControlPlaneError(f"{wanted} arrived as {answer['Sum']}, which is not the pinned sum: do not use it")
    return Path(answer["Dir"])


def _pinned_sums() -> list[str]:
    return [line for line in _PINNED_SUMS.read_text().splitlines() if not line.startswith("#")]
