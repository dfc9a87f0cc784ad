"""Build the images of operator, builder and runtime without a registry, as archives that containerd imports.

The last line on stdout is the folder that holds them: operator.tar, builder.tar and runtime.tar. It lies in the user's
cache and is named by what the images are made of. Run it as `python3 hack/images/build.py`, as root on Debian.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import base
from buildah import Buildah, reference
from contents import PROGRAMS, digest
from steps import ImagesError, require_tools, say

sys.path.append(str(Path(__file__).parents[1] / "control_plane"))

from binaries import cache_root, only_builder_of

_KEPT = 2
"""The newest, and one that another checkout may be about to import."""


def provide(environ: Mapping[str, str]) -> Path:
    """The folder with all archives, made first if need be."""
    cache = cache_root(environ) / "images"
    found = _archives(cache)
    if found is not None:
        return found
    require_tools()
    with only_builder_of(cache / "images"):
        return _archives(cache) or _build(cache)


def _archives(cache: Path) -> Path | None:
    """The archives of this checkout, if they are there."""
    folder = _folder(cache)
    return folder if all((folder / f"{program}.tar").exists() for program in PROGRAMS) else None


def _folder(cache: Path) -> Path:
    return cache / "archives" / digest(base.name_of(base.PLAIN) + base.name_of(base.COMPILER))


def _build(cache: Path) -> Path:
    started = time.monotonic()
    folder = _folder(cache)
    buildah = Buildah(cache)
    buildah.tidy()
    bases = {
        "BASE": buildah.base(base.provide(cache, base.PLAIN)),
        "COMPILER": buildah.base(base.provide(cache, base.COMPILER)),
    }
    buildah.code(bases)
    folder.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        begun = time.monotonic()
        buildah.image(program, bases)
        archive = folder / f"{program}.tar"
        buildah.export(program, archive)
        say(f"{reference(program)}: {archive.stat().st_size >> 20} MiB, {time.monotonic() - begun:.0f} s")
    buildah.tidy()
    _drop_old(folder)
    say(f"built in {time.monotonic() - started:.0f} s")
    return folder


def _drop_old(newest: Path) -> None:
    """Remove all but the newest archives: each builder takes more than a gigabyte."""
    folders = sorted(newest.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT:]:
        shutil.rmtree(folder)


def main() -> int:
    """Print the folder; a failure is one line on stderr and exit status 1."""
    try:
        print(provide(os.environ))
    except ImagesError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
