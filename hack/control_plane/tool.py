"""Provide one program: compiled from its published Go module, checked against its pinned sum, kept by version."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from binaries import ControlPlaneError, cache_root, go_platform, say
from go_build import build_one, go_environment, require_go
from go_modules import Module, prepare
from keep import kept


@dataclass(frozen=True)
class Tool:
    """A program: its name and module, what it is for, its folder in the cache, the variable that names a ready one."""

    name: str
    module: Module
    purpose: str
    folder: str
    variable: str


def provide(tool: Tool, environ: Mapping[str, str]) -> Path:
    """The program's binary, built first if need be."""
    if chosen := environ.get(tool.variable):
        return Path(chosen)
    system, architecture = go_platform()
    folder = cache_root(environ) / tool.folder / f"{tool.module.version}-{system}-{architecture}"
    kept(folder, [tool.name], lambda binaries, workspace: _build(tool, binaries, workspace, environ))
    return folder / tool.name


def command(tool: Tool) -> int:
    """Print the binary's path; a failure is one line on stderr and exit status 1."""
    try:
        print(provide(tool, os.environ))
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    return 0


def _build(tool: Tool, binaries: Path, workspace: Path, environ: Mapping[str, str]) -> None:
    environ = go_environment(environ)
    require_go(workspace, environ, f"set {tool.variable} to a {tool.name} of yours")
    version = tool.module.version
    say(f"building {tool.name} {version}, {tool.purpose}, a few minutes on two cores; later runs reuse it")
    build_one(tool.name, prepare(tool.module, workspace, environ), binaries, environ, tool.name)
