"""Reads a torch.export archive (`.pt2`): its members' names, JSON and raw tensor bytes, and never a pickle in it."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from slipstream_builder.errors import SourceError

_MAX_MEMBERS = 100_000
_MAX_JSON = 256 << 20
_SAVE_AGAIN = "save it again with torch 2.8 or newer: torch.export.save(torch.export.export(...), 'model.pt2')"


@dataclass(frozen=True)
class Archive:
    """An open archive whose members have been checked; names are relative to its root folder."""

    file: zipfile.ZipFile
    root: str
    names: frozenset[str]

    def json(self, name: str) -> Any:
        """Return the content of the JSON member `name`.

        Raises:
            SourceError: there is none, it is too large, or it is not JSON.
        """
        if name not in self.names:
            raise SourceError(f"model: the archive holds no {name}; {_SAVE_AGAIN}")
        if self.size(name) > _MAX_JSON:
            raise SourceError(f"model: {name} in the archive is larger than {_MAX_JSON >> 20} MiB; export it again")
        try:
            return json.loads(self.bytes(name))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"model: {name} in the archive is not JSON; copy the file again") from error

    def size(self, name: str) -> int:
        """Return the bytes of the member `name`."""
        return self.file.getinfo(f"{self.root}/{name}").file_size

    def bytes(self, name: str) -> bytes:
        """Return the content of the member `name`, checked against its CRC.

        Raises:
            SourceError: it cannot be read.
        """
        try:
            return self.file.read(f"{self.root}/{name}")
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
            raise SourceError(f"model: {name} in the archive is damaged; copy the file again") from error


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open the archive at `path`; every member is stored as it is, inside the root folder, and named once.

    Raises:
        SourceError: it is no torch.export archive, or one that only a pickle or a library of its own could open.
    """
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise SourceError("model: a damaged archive, or truncated; copy it again") from error
    with file:
        yield _checked(file, path.stat().st_size)


def _checked(file: zipfile.ZipFile, archive_bytes: int) -> Archive:
    members = file.infolist()
    if len(members) > _MAX_MEMBERS:
        raise SourceError(f"model: the archive has more than {_MAX_MEMBERS} members; export it again")
    if sum(member.file_size for member in members) > archive_bytes:
        raise SourceError("model: the archive unpacks to more than its own size, as torch.export never writes it")
    for member in members:
        _check_member(member)
    if len({member.filename for member in members}) != len(members):
        raise SourceError("model: the archive names a member twice; export it again")
    roots = {member.filename.split("/", 1)[0] for member in members}
    if len(roots) != 1:
        _refuse_kind({member.filename for member in members})
    root = roots.pop()
    archive = Archive(file, root, frozenset(member.filename.removeprefix(f"{root}/") for member in members))
    _check_kind(archive)
    return archive


def _check_member(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or "\0" in member.orig_filename:
        raise SourceError(f"model: the archive's member {member.filename[:80]!r} lies outside it; export it again")
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise SourceError("model: the archive is compressed, as torch.export never writes it; give the file it saved")
    if member.flag_bits & 1:
        raise SourceError("model: the archive is encrypted; give the file that torch.export saved")


def _check_kind(archive: Archive) -> None:
    if "archive_format" not in archive.names or archive.bytes("archive_format").strip() != b"pt2":
        _refuse_kind(set(archive.names))
    libraries = [name for name in archive.names if name.startswith("data/aotinductor/")]
    if libraries:
        raise SourceError(
            "model: the archive holds compiled code (AOTInductor), which is never run; save the exported program itself"
        )


def _refuse_kind(names: set[str]) -> None:
    bare = {name.rsplit("/", 1)[-1] for name in names}
    if "serialized_exported_program.json" in bare:
        raise SourceError(f"model: a program in torch's old format, whose weights are pickles; {_SAVE_AGAIN}")
    if "data.pkl" in bare:
        raise SourceError(
            f"model: a pickled checkpoint or TorchScript, which runs code when loaded, so it is never opened; "
            f"export it: {_SAVE_AGAIN}"
        )
    if any(name.endswith(".npy") for name in bare):
        raise SourceError("model: these are arrays (.npz), not a model; name the model's file")
    raise SourceError(f"model: a zip archive, but no torch.export program; {_SAVE_AGAIN}")
