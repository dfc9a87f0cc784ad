"""Makes the base images' files where there is no registry to take them from: small Debians with Python."""

import hashlib
import shutil
from pathlib import Path

from steps import Step, say

_SUITE = "bookworm"
PLAIN = ("ca-certificates", "python3", "python3-venv")
COMPILER = (*PLAIN, "gcc", "libc6-dev", "libpython3-dev")
"""What our own code is compiled on; nothing of it is left in an image."""

_LEFT_OUT = (
    "usr/share/doc/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*",
    "var/cache/apt/*", "var/cache/debconf/*-old", "var/lib/apt/lists/*", "var/log/*", "etc/resolv.conf", "etc/hostname",
)  # fmt: skip


def name_of(packages: tuple[str, ...]) -> str:
    """The name of the base with these packages."""
    return f"debian-{_SUITE}-{hashlib.sha256(repr((packages, _LEFT_OUT)).encode()).hexdigest()[:12]}"


def provide(folder: Path, packages: tuple[str, ...]) -> Path:
    """The archive of the base's files, made first if need be."""
    archive = folder / f"{name_of(packages)}.tar"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        say(f"making a Debian {_SUITE} with {packages[-1]} to build on, about a minute; later runs reuse it")
        _make(archive, packages)
    return archive


def _make(archive: Path, packages: tuple[str, ...]) -> None:
    root = archive.with_suffix(".building")
    shutil.rmtree(root, ignore_errors=True)
    try:
        step = Step("base", archive.with_suffix(".log"))
        step.run("debootstrap", "--variant=minbase", f"--include={','.join(packages)}", _SUITE, str(root))
        for pattern in _LEFT_OUT:
            for path in root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        unfinished = archive.with_suffix(".unfinished")
        step.run("tar", "--numeric-owner", "--sort=name", "-C", str(root), "-cf", str(unfinished), ".")
        unfinished.rename(archive)
    finally:
        shutil.rmtree(root, ignore_errors=True)
