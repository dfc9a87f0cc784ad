"""Provide a real S3 server for tests: versitygw, compiled once from its Go module.

It lives beside the control plane because it is built, pinned and kept in the same way. The last line on stdout is the
binary: the one in SLIPSTREAM_S3_SERVER, or the user's cache's. Run it as `python3 hack/control_plane/s3_server.py`.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from binaries import ControlPlaneError, cache_root, go_platform, only_builder_of, say
from go_build import build_one, go_environment, require_go
from go_modules import Module, prepare

NAME = "versitygw"
_VERSION = "v1.8.0"
_MODULE = Module(f"github.com/versity/{NAME}", _VERSION, _VERSION)


def provide(environ: Mapping[str, str]) -> Path:
    """The server's binary, built first if need be."""
    if chosen := environ.get("SLIPSTREAM_S3_SERVER"):
        return Path(chosen)
    system, architecture = go_platform()
    folder = cache_root(environ) / "s3-server" / f"{_VERSION}-{system}-{architecture}"
    binary = folder / NAME
    if not os.access(binary, os.X_OK):
        with only_builder_of(folder):
            if not os.access(binary, os.X_OK):
                _fill(folder, environ)
    return binary


def _fill(folder: Path, environ: Mapping[str, str]) -> None:
    """Build beside the folder and rename, so that whoever sees the folder sees it complete."""
    building = folder.with_name(f"{folder.name}.building")
    for leftover in (building, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    binaries, workspace = building / "binaries", building / "workspace"
    binaries.mkdir(parents=True)
    workspace.mkdir()
    environ = go_environment(environ)
    try:
        require_go(workspace, environ, "set SLIPSTREAM_S3_SERVER to a versitygw of yours")
        say(f"building {NAME} {_VERSION}, an S3 server for the tests, about a minute on two cores; later runs reuse it")
        build_one(NAME, prepare(_MODULE, workspace, environ), binaries, environ, NAME)
        binaries.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def main() -> int:
    """Print the binary; a failure is one line on stderr and exit status 1."""
    try:
        print(provide(os.environ))
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
