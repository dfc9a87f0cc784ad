"""Writes that are whole or absent, and digests of what was written."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from slipstream_builder.errors import DiskFullError
from slipstream_contract.manifest import FileDigest

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_disk_full(error: BaseException) -> bool:
    """Return whether `error` says that no more can be written."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextlib.contextmanager
def disk_full_in_words(where: Path) -> Iterator[None]:
    """Turn the system's "no space left" into one line that says where.

    Raises:
        DiskFullError: the block inside ran out of space.
    """
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise DiskFullError(f"{where}: no space left ({error.strerror}); free some, or give a larger volume") from error


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path, relative_to: Path) -> FileDigest:
    """Return the size and SHA-256 of the file at `path`."""
    with path.open("rb") as file:
        value = hashlib.file_digest(file, "sha256").hexdigest()
    return FileDigest(path.relative_to(relative_to).as_posix(), path.stat().st_size, value)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    """Write `data` to a new file and wait until it is on disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`; a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        write_synced(draft, data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
