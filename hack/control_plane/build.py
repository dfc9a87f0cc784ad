"""Provide a real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and kubectl.

The last line on stdout is the folder that holds the binaries: the one in KUBEBUILDER_ASSETS, or the user's cache,
filled on first use by compiling the published Go modules. Run it as `python3 hack/control_plane/build.py`.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from binaries import NAMES, ControlPlaneError, cache_folder, ready_made
from go_build import build_all
from keep import kept


def provide(environ: Mapping[str, str]) -> Path:
    """The folder with all binaries, built first if need be."""
    if chosen := ready_made(environ):
        return chosen
    return kept(cache_folder(environ), NAMES, lambda binaries, workspace: build_all(binaries, workspace, environ))


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
