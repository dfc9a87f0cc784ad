"""Provide a real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and kubectl.

The last line on stdout is the folder that holds the binaries: the one in KUBEBUILDER_ASSETS, or the user's cache,
filled on first use by compiling the published Go modules. Run it as `python3 hack/control_plane/build.py`.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from binaries import ControlPlaneError, cache_folder, missing_from, only_builder_of, ready_made
from go_build import build_all


def provide(environ: Mapping[str, str]) -> Path:
    """The folder with all binaries, built first if need be."""
    if chosen := ready_made(environ):
        return chosen
    folder = cache_folder(environ)
    if not missing_from(folder):
        return folder
    with only_builder_of(folder):
        if missing_from(folder):
            _fill(folder, environ)
    return folder


def _fill(folder: Path, environ: Mapping[str, str]) -> None:
    """Build beside the folder and rename, so that whoever sees the folder sees it complete."""
    building = folder.with_name(f"{folder.name}.building")
    for leftover in (building, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    binaries, workspace = building / "binaries", building / "workspace"
    binaries.mkdir(parents=True)
    workspace.mkdir()
    try:
        build_all(binaries, workspace, environ)
        binaries.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def main() -> int:
    """Print the folder; a failure is one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--print-cache-dir", action="store_true", help="print where a build would be kept, and exit")
    arguments = parser.parse_args()
    try:
        print(cache_folder(os.environ) if arguments.print_cache_dir else provide(os.environ))
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
