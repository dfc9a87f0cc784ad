"""Where the benchmark keeps what it downloads and makes: outside the tree, keyed by what it was made from."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.shared.folders import BenchError, cache_folder

MODEL_FILE = "model.onnx"
VALIDATION_FILE = "validation.npz"
UNLABELLED_FILE = "unlabelled.npz"
FILES = (MODEL_FILE, VALIDATION_FILE, UNLABELLED_FILE)


def made(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """Return the folder with the model `name`, made by `make` unless the same `sources` have made it before."""
    folder = cache_folder() / "models" / f"{name}-{_key(sources)}"
    if all((folder / file).exists() for file in FILES):
        return folder
    draft = folder.with_suffix(f".{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    make(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder


def downloaded(requirement: str, *options: str) -> Path:
    """Return the package file of `requirement` (NAME==VERSION), downloaded by pip and installed nowhere.

    Raises:
        BenchError: pip cannot get it.
    """
    folder = cache_folder() / "downloads" / requirement
    if not any(folder.glob("*")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", *options, "--dest", str(folder), requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise BenchError(f"pip download {requirement} failed ({lines[-1]}); check the network and run again")
    return next(folder.iterdir())


def _key(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
