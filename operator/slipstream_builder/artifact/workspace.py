"""The artifact store on disk: drafts that cannot be mistaken for artifacts, and finished builds found again.

A draft is a hidden folder whose builder holds a lock on it. The kernel drops the lock when the builder dies, however it
dies and in whichever pod, so the next build can tell a dead draft from a busy one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Set
from pathlib import Path

from slipstream_builder.files import digest_file, sync_folder
from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import MANIFEST_FILE, Manifest
from slipstream_contract.names import RECIPES_FOLDER, artifact_folder
from slipstream_contract.summary import BuildSummary

_DRAFT = ".work-"
_CACHE = ".cache"


@contextlib.contextmanager
def draft(parent: Path) -> Iterator[Path]:
    """Give a locked, empty folder below `parent`, and remove it in the end, with whatever is still in it."""
    parent.mkdir(parents=True, exist_ok=True)
    remove_dead_drafts(parent)
    folder, lock = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_dead_drafts(parent: Path) -> None:
    """Remove the drafts below `parent` whose builders are gone."""
    for folder in parent.glob(f"{_DRAFT}*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock; again, if a sweeper took it before the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{os.getpid()}-", dir=parent))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def cache_folder(store: Path, recipe_digest: str) -> Path:
    """Return where the finished candidates of an unfinished build are kept."""
    return store / _CACHE / recipe_digest


def clear_cache(store: Path, recipe_digest: str) -> None:
    """Remove the candidates kept for `recipe_digest`, and the folder of caches when that was the last."""
    shutil.rmtree(cache_folder(store, recipe_digest), ignore_errors=True)
    with contextlib.suppress(OSError):
        (store / _CACHE).rmdir()


def summary_path(store: Path, recipe_digest: str) -> Path:
    """Return where the summary of a finished build is, which makes its artifact findable."""
    return store / RECIPES_FOLDER / f"{recipe_digest}.json"


def publish(folder: Path, store: Path, artifact_digest: str) -> Path:
    """Move a finished artifact folder to its final name; one of the same digest is the same and may stay."""
    final = store / artifact_folder(artifact_digest)
    sync_folder(folder)
    if final.exists() and not is_whole(final):
        shutil.rmtree(final)
    if not final.exists():
        folder.rename(final)
    sync_folder(store)
    return final


def remove_artifacts(store: Path, keep: Set[str]) -> None:
    """Remove the artifacts whose digest is not in `keep`, and the summaries by which they would be found."""
    folders = {artifact_folder(digest) for digest in keep}
    for folder in store.glob(artifact_folder("*")):
        if folder.name not in folders:
            shutil.rmtree(folder, ignore_errors=True)
    for file in (store / RECIPES_FOLDER).glob("*.json"):
        with contextlib.suppress(OSError, ContractError, UnicodeDecodeError):
            summary = BuildSummary.from_json(file.read_text())
            if not (store / artifact_folder(summary.artifact_digest or "")).exists():
                file.unlink()


def find_finished(store: Path, recipe_digest: str) -> tuple[BuildSummary, Path] | None:
    """Return the summary and folder of an earlier build of the recipe whose artifact is still whole, or None."""
    try:
        summary = BuildSummary.from_json(summary_path(store, recipe_digest).read_text())
    except (OSError, ContractError, UnicodeDecodeError):
        return None
    if not summary.succeeded or summary.artifact_digest is None or summary.recipe_digest != recipe_digest:
        return None
    folder = store / artifact_folder(summary.artifact_digest)
    if not is_whole(folder) or digest_file(folder / MANIFEST_FILE, folder).sha256 != summary.artifact_digest:
        return None
    return summary, folder


def is_whole(folder: Path) -> bool:
    """Return whether every file that the folder's manifest names is there with its digest."""
    try:
        manifest = codec.decode_json(Manifest, (folder / MANIFEST_FILE).read_bytes(), MANIFEST_FILE)
        return all(digest_file(folder / entry.path, folder) == entry for entry in manifest.files)
    except (OSError, ValueError):
        return False
