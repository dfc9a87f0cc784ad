"""Compiles the runtime's hot modules with mypyc, as the images have them: a quarter less processor time a request.

    python hack/compiled.py

makes a copy of `runtime/` with the modules compiled, below the cache and keyed by what it is made of, and prints where.
As hatchling's build hook it puts them into the wheel, where HATCH_BUILD_HOOK_ENABLE_CUSTOM=true asks for it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RUNTIME = Path(__file__).parents[1] / "runtime"
PACKAGE = "slipstream_runtime"

HOT = (
    "batching/batcher", "batching/curve", "batching/deadline_queue", "batching/execution", "batching/policy",
    "batching/turns", "caching/responses", "callers/gate", "observing/statistics", "observing/telemetry", "plane",
    "protocol/decoding", "protocol/encoding", "protocol/fast", "protocol/parameters", "protocol/signature",
    "protocol/tensors", "rest/body", "rest/connection", "rest/exchange", "rest/head", "rest/hub", "rest/infer_exchange",
    "rest/responses",
)  # fmt: skip
"""What runs once a request or once a batch; the rest is Python as it is written."""

LEFT_OUT = 2
"""The exit status where this machine cannot compile."""


def main() -> int:
    """Print the folder with the compiled runtime, made first if need be."""
    sys.path.append(str(Path(__file__).with_name("control_plane")))
    from binaries import cache_root, only_builder_of  # noqa: PLC0415  # an image's build has this file alone

    folder = cache_root(os.environ) / "compiled" / _digest()
    if missing := _missing():
        print(f"compiled: left out, as there is no {missing}", file=sys.stderr)
        return LEFT_OUT
    with only_builder_of(folder):
        if not folder.exists():
            print("compiled: compiling the runtime's hot modules, about a minute; later runs reuse it", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                compile_into(unfinished := Path(scratch) / "runtime")
                unfinished.rename(folder)
    print(folder)
    return 0


def compile_into(folder: Path) -> None:
    """Copy the runtime to `folder`, which must not exist, and compile its hot modules there.

    Raises:
        SystemExit: they do not compile.
    """
    shutil.copytree(RUNTIME, folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    # The image's build has only those of the runtime's packages whose types the hot modules use.
    command = [sys.executable, "-m", "mypyc", "--ignore-missing-imports", *(f"{PACKAGE}/{name}.py" for name in HOT)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"compiled: failed; it needs a C compiler and Python's headers\n{done.stdout}\n{done.stderr}")
    shutil.rmtree(folder / "build")


class CompiledRuntime(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources into a wheel, which then is for this Python and platform only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the installation is one to edit."""
        if version == "editable":
            return
        self._scratch = tempfile.TemporaryDirectory()
        folder = Path(self._scratch.name) / "runtime"
        compile_into(folder)
        build_data["force_include"] |= {str(path): str(path.relative_to(folder)) for path in folder.rglob("*.so")}
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled."""
        if version != "editable":
            self._scratch.cleanup()


def _missing() -> str:
    """Return what compiling takes and this machine lacks."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    found = {"C compiler (Debian: gcc)": shutil.which("gcc") or shutil.which("cc"), f"{headers}": headers.exists()}
    return " and no ".join(name for name, there in found.items() if not there)


def _digest() -> str:
    parts = [Path(__file__).read_bytes(), str(sysconfig.get_config_var("EXT_SUFFIX")).encode()]
    parts += [found for path in _sources() for found in (str(path.relative_to(RUNTIME)).encode(), path.read_bytes())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _sources() -> Iterator[Path]:
    return (path for path in sorted(RUNTIME.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


if __name__ == "__main__":
    sys.exit(main())
