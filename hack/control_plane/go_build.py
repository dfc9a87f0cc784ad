"""Compile the control plane's binaries with go, saying every few seconds how far that is."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from binaries import KUBERNETES_VERSION, NAMES, ControlPlaneError, go_platform, say
from go_modules import ETCD, KUBERNETES, Source, prepare

_OLDEST_GO = (1, 26)
_CPU_MINUTES = 12
_HEARTBEAT_SECONDS = 15


@dataclass
class _Log:
    """What one go build has said so far: packages as they compile, modules as they arrive, the rest is trouble."""

    compiled: int = 0
    downloaded: int = 0
    trouble: list[str] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        """Sort the lines until go closes its end."""
        for line in lines:
            if line.startswith("go: downloading "):
                self.downloaded += 1
            elif " " in line:
                self.trouble.append(line.strip())
            else:
                self.compiled += 1


def build_all(folder: Path, workspace: Path, environ: Mapping[str, str]) -> None:
    """Compile every binary into the folder; the workspace is scratch space."""
    environ = go_environment(environ)
    require_go(workspace, environ, "point KUBEBUILDER_ASSETS at ready-made binaries")
    minutes = max(1, _CPU_MINUTES // (os.cpu_count() or 1))
    say(f"building {', '.join(NAMES)} from source, about {minutes} min here; later runs reuse them")
    sources = {module: prepare(module, workspace, environ) for module in (ETCD, KUBERNETES)}
    for number, name in enumerate(NAMES, start=1):
        source = sources[ETCD if name == "etcd" else KUBERNETES]
        title = f"[{number}/{len(NAMES)}] {name}"
        build_one(name, source, folder, environ, title)


def go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A static build for this machine, whatever workspace or cross-compilation the shell is set up for."""
    system, architecture = go_platform()
    return {**environ, "CGO_ENABLED": "0", "GOOS": system, "GOARCH": architecture, "GOWORK": "off"}


def require_go(workspace: Path, environ: Mapping[str, str], otherwise: str) -> None:
    """Go on if there is a new enough go; `otherwise` is what to do in place of installing one."""
    needed = f"Go {_OLDEST_GO[0]}.{_OLDEST_GO[1]} or newer"
    advice = f"install {needed} (https://go.dev/doc/install), or {otherwise}"
    try:
        found = subprocess.check_output(
            ["go", "env", "GOVERSION", "GOTOOLCHAIN"], cwd=workspace, env=environ, text=True
        ).split()
    except FileNotFoundError:
        raise ControlPlaneError(f"go is not on PATH: {advice}") from None
    version = tuple(int(part) for part in re.findall(r"\d+", found[0])[:2])
    # An older go fetches the toolchain that the modules ask for, unless it is told to stay local.
    if version < (1, 21) or (version < _OLDEST_GO and found[1] == "local"):
        raise ControlPlaneError(f"{found[0]} is too old: {advice}")


def build_one(name: str, source: Source, folder: Path, environ: Mapping[str, str], title: str) -> None:
    """Compile the command `name` of the module into the folder."""
    package = source.main.format(name=name)
    flags = ["-v", "-trimpath", "-mod=readonly", f"-modfile={source.modfile}", f"-ldflags={_linker_flags()}"]
    command = ["go", "build", *flags, "-o", str(folder / name), package]
    started = time.monotonic()
    say(f"{title}: started")
    with subprocess.Popen(command, cwd=source.folder, env=environ, stderr=subprocess.PIPE, text=True) as process:
        log = _follow(process, title, started)
    if process.returncode:
        trouble = " | ".join(log.trouble[-3:]) or f"go build exited with {process.returncode}"
        raise ControlPlaneError(f"cannot build {name}: {trouble}")
    say(f"{title}: built in {time.monotonic() - started:.0f} s")


def _follow(process: subprocess.Popen[str], title: str, started: float) -> _Log:
    """Collect what go says until it ends, with a sign of life at least every few seconds."""
    log = _Log()
    reader = Thread(target=log.read, args=(process.stderr,), daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(timeout=_HEARTBEAT_SECONDS)
        if reader.is_alive():
            elapsed = time.monotonic() - started
            say(f"{title}: {elapsed:.0f} s, {log.downloaded} modules fetched, {log.compiled} packages compiled")
    return log


def _linker_flags() -> str:
    """Stamp the version that Kubernetes' own release build would; without it the binaries call themselves v0.0.0."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    facts = {
        "gitVersion": KUBERNETES_VERSION,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "",  # the module archive does not say
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X={package}.{name}={value}" for package in packages for name, value in facts.items()]
    return " ".join(["-s", "-w", *stamps])
