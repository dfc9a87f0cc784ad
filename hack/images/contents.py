"""Says by digests what an image is made of, so that nothing is built twice and nothing stale is taken for new."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("operator", "builder", "runtime")
_SOURCES = ("images", "hack/compiled.py", "operator", "runtime", "pyproject.toml", "README.md", "LICENSE")


def digest(base: str, root: Path = ROOT) -> str:
    """The digest of what a checkout's images are made of, on a base of this name."""
    found = hashlib.sha256(base.encode())
    for file in _files(root):
        found.update(f"\0{file.relative_to(root)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:12]


def _files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        path = root / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in inside if file.is_file() and "__pycache__" not in file.parts)
