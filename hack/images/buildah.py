"""Builds images/Dockerfile with buildah, in a store of its own, and exports what it built."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from contents import ROOT
from steps import Step, say

_PIP_SETTINGS = ("global.cert", "global.extra-index-url", "global.index-url", "global.proxy", "global.trusted-host")
_CERTIFICATES = "/run/certificates.pem"
_VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def reference(program: str) -> str:
    """The image's full name, as the chart's default values and a kubelet spell it."""
    return f"docker.io/library/slipstream-{program}:{_VERSION}"


class Buildah:
    """buildah with its layers, its logs and what pip downloads below `folder`."""

    def __init__(self, folder: Path) -> None:
        """Prepare the folders; nothing runs yet."""
        self._folder, self._downloads = folder, folder / "downloads"
        self._downloads.mkdir(parents=True, exist_ok=True)

    def base(self, archive: Path) -> str:
        """Make an image of an archive of files, once; its name."""
        name = f"localhost/{archive.stem}"
        if not self._run("base", "images", "--quiet", "--filter", f"reference={name}").strip():
            recipe = self._folder / "base.Dockerfile"
            recipe.write_text(f"FROM scratch\nADD {archive.name} /\n")
            self._run("base", "build", "--tag", name, "--file", str(recipe), str(archive.parent))
        return name

    def code(self, bases: Mapping[str, str]) -> None:
        """Build what all programs share, under a name that keeps its layers from being tidied away."""
        self._build("code", bases, "--target=code", "--tag=localhost/slipstream-code")

    def image(self, program: str, bases: Mapping[str, str]) -> None:
        """Build one program's image; `bases` are the names of the images it begins with, by the Dockerfile's names."""
        self._build(program, bases, f"--build-arg=PROGRAM={program}", f"--tag={reference(program)}")

    def _build(self, title: str, bases: Mapping[str, str], *flags: str) -> None:
        dockerfile = ROOT / "images" / "Dockerfile"
        files = (f"--file={dockerfile}", f"--ignorefile={dockerfile}.dockerignore")
        arguments = [f"--build-arg={name}={base}" for name, base in bases.items()]
        how = ("--isolation=chroot", "--layers", *arguments, *self._as_pip_here())
        self._run(title, "build", *how, *files, *flags, str(ROOT))

    def export(self, program: str, archive: Path) -> None:
        """Write the image as an archive that docker and containerd import."""
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        name = reference(program)
        self._run(program, "push", "--quiet", name, f"docker-archive:{unfinished}:{name}")
        unfinished.rename(archive)

    def tidy(self) -> None:
        """Drop what an interrupted run left in the store, and layers that no image is made of any more."""
        self._run("store", "rm", "--all")
        self._run("store", "rmi", "--prune")

    def _as_pip_here(self) -> list[str]:
        """Let pip inside the build find packages where pip outside does: its index, proxy and certificates."""
        found = dict(_pip_settings())
        volumes = []
        if certificates := found.pop("cert", ""):
            volumes.append(f"--volume={certificates}:{_CERTIFICATES}:ro")
            found["cert"] = _CERTIFICATES
        if not found:
            return []
        settings = self._folder / "pip.conf"
        settings.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in found.items()))
        return [*volumes, f"--volume={settings}:/etc/pip.conf:ro"]

    def _run(self, title: str, command: str, *arguments: str) -> str:
        store = [f"--root={self._folder / 'store'}", f"--runroot={self._folder / 'run'}", "--storage-driver=overlay"]
        step = Step(title, self._folder / "logs" / f"{title}-{command}.log")
        return step.run("buildah", *store, command, *arguments, environ=self._environ())

    def _environ(self) -> Mapping[str, str]:
        """Cache mounts of a Dockerfile lie below TMPDIR."""
        return {**os.environ, "TMPDIR": str(self._downloads)}


def _pip_settings() -> list[tuple[str, str]]:
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    if done.returncode:
        say("pip has no settings to take over")
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return [(key.removeprefix("global."), value.strip("'\"")) for key, _, value in pairs if key in _PIP_SETTINGS]
