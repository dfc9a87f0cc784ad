"""Provide every program of the cluster that is built from source; the control plane's are the tests' own."""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SHARED = Path(__file__).parents[1] / "control_plane"
sys.path.append(str(_SHARED))

from binaries import KUBERNETES_VERSION, ControlPlaneError, cache_root, go_platform, say  # noqa: E402
from build import provide as provide_control_plane  # noqa: E402
from go_build import build_one, go_environment, require_go  # noqa: E402
from go_modules import KUBERNETES, Module, Source, prepare  # noqa: E402
from keep import kept  # noqa: E402
from tool import Tool  # noqa: E402
from tool import provide as provide_tool  # noqa: E402

__all__ = ["COREDNS", "NODE_HELPER", "PROVISIONER", "ControlPlaneError", "Programs", "architecture", "provide"]

NODE_NAMES = ("kube-scheduler", "kubelet", "kube-proxy")
NODE_HELPER = "node-helper"
_HELPER_SOURCE = Path(__file__).parent / "node_helper"
_OTHERWISE = "use another back end: make cluster BACKEND=kind, or BACKEND=kubeconfig"

COREDNS = Tool(
    name="coredns",
    module=Module("github.com/coredns/coredns", "v1.15.0", "v1.15.0", main="."),
    purpose="the cluster's DNS",
    folder="coredns",
    variable="SLIPSTREAM_COREDNS",
)
PROVISIONER = Tool(
    name="local-path-provisioner",
    module=Module("github.com/rancher/local-path-provisioner", "v0.0.30", "v0.0.30", main="."),
    purpose="which makes volumes for claims",
    folder="local-path-provisioner",
    variable="SLIPSTREAM_LOCAL_PATH_PROVISIONER",
)


@dataclass(frozen=True)
class Programs:
    """Where the programs are: two folders of many, and three that run in images of their own."""

    control_plane: Path
    node: Path
    coredns: Path
    provisioner: Path
    helper: Path


def provide(environ: Mapping[str, str]) -> Programs:
    """Every program, built first if need be; raises ControlPlaneError."""
    return Programs(
        control_plane=provide_control_plane(environ),
        node=_provide_node(environ),
        coredns=provide_tool(COREDNS, environ),
        provisioner=provide_tool(PROVISIONER, environ),
        helper=_provide_helper(environ),
    )


def architecture() -> str:
    """This machine's architecture, as Go and image archives name it."""
    return go_platform()[1]


def _provide_node(environ: Mapping[str, str]) -> Path:
    return kept(
        _folder(environ, "node", KUBERNETES_VERSION),
        NODE_NAMES,
        lambda binaries, workspace: _build_node(binaries, workspace, go_environment(environ)),
    )


def _build_node(binaries: Path, workspace: Path, environ: Mapping[str, str]) -> None:
    require_go(workspace, environ, _OTHERWISE)
    say(f"building {', '.join(NODE_NAMES)} from source, a few minutes on two cores; later runs reuse them")
    source = prepare(KUBERNETES, workspace, environ)
    for number, name in enumerate(NODE_NAMES, start=1):
        build_one(name, source, binaries, environ, f"[{number}/{len(NODE_NAMES)}] {name}")


def _provide_helper(environ: Mapping[str, str]) -> Path:
    digest = hashlib.sha256((_HELPER_SOURCE / "main.go").read_bytes()).hexdigest()[:12]
    source = Source(_HELPER_SOURCE, _HELPER_SOURCE / "go.mod", main=".")

    def build(binaries: Path, workspace: Path) -> None:
        require_go(workspace, go_environment(environ), _OTHERWISE)
        build_one(NODE_HELPER, source, binaries, go_environment(environ), NODE_HELPER)

    return kept(_folder(environ, NODE_HELPER, digest), [NODE_HELPER], build) / NODE_HELPER


def _folder(environ: Mapping[str, str], name: str, version: str) -> Path:
    system, architecture_name = go_platform()
    return cache_root(environ) / name / f"{version}-{system}-{architecture_name}"
