"""Brings the model and the data sets in: from a path, a mounted claim, or a URL that fsspec understands."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import fsspec

from slipstream_builder.errors import BuilderError
from slipstream_builder.files import is_disk_full
from slipstream_builder.sources import links
from slipstream_contract.names import CLAIMS_PATH
from slipstream_contract.recipe import Source

MAX_BYTES = 2 << 30
_CHUNK = 4 << 20
_REMOTE = ("http", "https", "s3", "gs")


@dataclass(frozen=True)
class Fetched:
    """What a URI held, and its SHA-256 in hex."""

    data: bytes
    sha256: str


@dataclass(frozen=True)
class Role:
    """What a file is for, in words, and which error speaks of it."""

    words: str
    error: type[BuilderError]


def fetch(source: Source, role: Role, max_bytes: int = MAX_BYTES) -> Fetched:
    """Return the content of `source`, checked against its pinned digest.

    Raises:
        BuilderError: of `role.error`; the file is missing, unreadable, too large, or not the pinned one.
    """
    try:
        with contextlib.closing(_open(source.uri, role)) as stream:
            data, found = _read_capped(stream, source.uri, role, max_bytes)
    except BuilderError:
        raise
    except ImportError as error:
        raise role.error(f"{_what(source, role)}: this address needs a package that is missing ({error})") from error
    except Exception as error:  # every fsspec file system has its own errors; all mean "cannot read"
        if is_disk_full(error):
            raise
        raise role.error(f"{_what(source, role)}: cannot be read ({_words(error)}); check the address") from error
    if source.sha256 is not None and found != source.sha256.lower():
        raise role.error(
            f"{_what(source, role)}: its sha256 is {found}, wanted {source.sha256}; "
            "it changed or is another file: correct the address or the digest"
        )
    return Fetched(data, found)


def local_path(uri: str, claims: str = CLAIMS_PATH) -> Path | None:
    """Return the path that a plain path, `file:` or `pvc://CLAIM/PATH` names, or None for a remote address.

    Raises:
        ValueError: the address is malformed or of an unknown scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme == "":
        return Path(uri)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ValueError("a file: address has three slashes, as in file:///data/model.onnx")
        return Path(unquote(parts.path))
    if parts.scheme == "pvc":
        return _claim_path(parts.netloc, unquote(parts.path), claims)
    if parts.scheme in _REMOTE:
        return None
    raise ValueError(f"scheme {parts.scheme!r} is not known; use file, pvc, {', '.join(_REMOTE)}")


def _claim_path(claim: str, path: str, claims: str) -> Path:
    relative = Path(path.lstrip("/"))
    if not claim or not relative.parts or ".." in relative.parts or claim == "..":
        raise ValueError("a claim's address is pvc://CLAIM/PATH, without '..'")
    return Path(claims) / claim / relative


def _open(uri: str, role: Role) -> IO[bytes]:
    try:
        path = local_path(uri)
    except ValueError as error:
        raise role.error(f"{role.words} {uri}: {error}") from error
    if path is None:
        stream: IO[bytes] = fsspec.open(uri, "rb").open()
        return stream
    try:
        return links.open_inside(path, _claim_root(uri))
    except ValueError as error:
        raise role.error(f"{role.words} {uri}: {error}") from error


def _claim_root(uri: str) -> Path | None:
    parts = urlsplit(uri)
    return Path(CLAIMS_PATH) / parts.netloc if parts.scheme == "pvc" else None


def _read_capped(stream: IO[bytes], uri: str, role: Role, max_bytes: int) -> tuple[bytes, str]:
    hasher, data = hashlib.sha256(), bytearray()
    while chunk := stream.read(_CHUNK):
        data += chunk
        hasher.update(chunk)
        if len(data) > max_bytes:
            raise role.error(f"{role.words} {uri}: larger than {max_bytes >> 20} MiB, the most a build takes")
    if not data:
        raise role.error(f"{role.words} {uri}: the file is empty")
    return bytes(data), hasher.hexdigest()


def _what(source: Source, role: Role) -> str:
    return f"{role.words} {source.uri}"


def _words(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
