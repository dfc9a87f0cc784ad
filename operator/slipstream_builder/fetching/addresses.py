"""Addresses of files: which scheme they are of, what they name, and how they may be shown."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slipstream_contract.names import CLAIMS_PATH

SCHEMES = ("file", "pvc", "http", "https", "s3", "gs", "hf")
_SHOWN = 200


@dataclass(frozen=True)
class Object:
    """An object in a bucket."""

    bucket: str
    key: str


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of the Hugging Face Hub; `kind` is model, dataset or space."""

    kind: str
    repository: str
    revision: str | None
    path: str


def scheme_of(uri: str) -> str:
    """Return the scheme of `uri`, "file" for a plain path.

    Raises:
        ValueError: it is malformed, or of a scheme that nothing here can fetch.
    """
    if not uri or any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in uri):
        raise ValueError("an address is one line without control characters")
    scheme = uri.partition(":")[0].lower() if ":" in uri.partition("/")[0] else "file"
    if scheme not in SCHEMES:
        raise ValueError(f"scheme {scheme!r} is not known; use {', '.join(SCHEMES)}")
    if scheme in ("http", "https") and not _is_web_address(uri):
        raise ValueError(f"a web address is {scheme}://HOST[:PORT]/PATH")
    return scheme


def local_path(uri: str, claims: str = CLAIMS_PATH) -> Path | None:
    """Return the path that a plain path, `file:` or `pvc://CLAIM/PATH` names, or None for a remote address.

    Raises:
        ValueError: the address is malformed or of an unknown scheme.
    """
    scheme = scheme_of(uri)
    if scheme not in ("file", "pvc"):
        return None
    if not uri.lower().startswith(f"{scheme}:"):
        return Path(uri)
    parts = urlsplit(uri)
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ValueError("a file: address has three slashes, as in file:///data/model.onnx")
        return Path(_decoded(parts.path))
    return _claim_path(parts.netloc, _decoded(parts.path), claims)


def object_of(uri: str) -> Object:
    """Return what `s3://BUCKET/KEY` or `gs://BUCKET/KEY` names; the key is taken as it is written.

    Raises:
        ValueError: there is no bucket or no key in it.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if not bucket or not key or "@" in bucket or ":" in bucket:
        raise ValueError(f"an object's address is {scheme}://BUCKET/KEY; credentials and endpoints go into a secret")
    return Object(bucket, key)


def hub_file_of(uri: str) -> HubFile:
    """Return what `hf://[datasets/]ORG/REPO[@REVISION]/PATH` names; a revision's own slashes are written %2F.

    Raises:
        ValueError: it is not of that form.
    """
    rest, kind = uri.partition("://")[2], "model"
    for prefix, other in (("datasets/", "dataset"), ("spaces/", "space")):
        if rest.startswith(prefix):
            rest, kind = rest.removeprefix(prefix), other
    organisation, _, rest = rest.partition("/")
    repository, _, path = rest.partition("/")
    name, at, revision = repository.partition("@")
    if not organisation or not name or not path or (at and not revision) or ".." in unquote(rest).split("/"):
        raise ValueError("a file on the hub is hf://ORG/REPO[@REVISION]/PATH")
    return HubFile(kind, f"{organisation}/{name}", unquote(revision) or None, path)


def redacted(uri: str) -> str:
    """Return `uri` as one short line without what may be secret in it."""
    shown = without_secrets("".join(letter if letter.isprintable() else "?" for letter in uri))
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def without_secrets(uri: str) -> str:
    """Return `uri` without user, password, query and fragment."""
    if "://" not in uri:
        return uri
    scheme, _, rest = uri.partition("://")
    place, mark, _ = rest.partition("?")
    authority, slash, path = place.partition("#")[0].partition("/")
    if "@" in authority:
        authority = f"***@{authority.rpartition('@')[2]}"
    return f"{scheme}://{authority}{slash}{path}{'?***' if mark else ''}"


def _is_web_address(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # a port that is no number, an IPv6 address that is none, a label that no name may have
        return False


def _decoded(path: str) -> str:
    text = unquote(path)
    if "\0" in text:
        raise ValueError("a path holds no NUL; correct the address")
    return text


def _claim_path(claim: str, path: str, claims: str) -> Path:
    relative = Path(path.lstrip("/"))
    if claim in ("", ".", "..") or not relative.parts or ".." in relative.parts:
        raise ValueError("a claim's address is pvc://CLAIM/PATH, without '..'")
    return Path(claims) / claim / relative
