"""Brings the model and the data sets in: from a path, a mounted claim, the web, an object store or the hub."""

import os
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from urllib.parse import urlsplit

from slipstream_builder.errors import BuilderError
from slipstream_builder.fetching import addresses, links
from slipstream_builder.fetching.addresses import local_path, redacted
from slipstream_builder.fetching.credentials import open_secret
from slipstream_builder.fetching.meter import Meter, Report
from slipstream_builder.fetching.surroundings import Surroundings
from slipstream_builder.fetching.transfer import CHUNK, Limits, Sink, TransferError, persist, reason
from slipstream_builder.files import is_disk_full
from slipstream_contract.recipe import Source

_SHORT = 4


@dataclass(frozen=True)
class Fetched:
    """What a URI held, in memory or mapped from the work folder, and its SHA-256 in hex."""

    content: bytes | mmap
    sha256: str

    @property
    def data(self) -> bytes:
        """The content; a mapped one is copied, so ask once and let go soon."""
        return self.content if isinstance(self.content, bytes) else self.content[:]

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.content)


@dataclass(frozen=True)
class Role:
    """What a file is for, in words, and which error speaks of it."""

    words: str
    error: type[BuilderError]


def fetch(
    source: Source,
    role: Role,
    report: Report | None = None,
    limits: Limits | None = None,
    surroundings: Surroundings | None = None,
) -> Fetched:
    """Return the content of `source`, checked against its pinned digest.

    `report` hears of progress every few seconds.

    Raises:
        BuilderError: of `role.error`; the file is missing, refused, unreadable, too large, or not the pinned one.
    """
    here = surroundings or Surroundings()
    meter = Meter(report or _silently, here.clock)
    used: list[str] = []
    try:
        sink = Sink((limits or Limits()).max_bytes, meter)
        try:
            _transfer(source, sink, limits or Limits(), here, used)
            return _checked(source, sink)
        finally:
            sink.close()
    except (TransferError, ValueError) as error:
        raise role.error(f"{role.words} {redacted(source.uri)}: {_without(used, str(error))}") from None
    except OSError as error:
        if is_disk_full(error):
            raise
        words = f"cannot be read ({reason(error)}); check the address"
        raise role.error(f"{role.words} {redacted(source.uri)}: {words}") from error


def _transfer(source: Source, sink: Sink, limits: Limits, here: Surroundings, used: list[str]) -> None:
    scheme = addresses.scheme_of(source.uri)
    path = local_path(source.uri, here.claims)
    if path is not None:
        root = Path(here.claims) / urlsplit(source.uri).netloc if scheme == "pvc" else None
        with links.open_inside(path, root) as stream:
            sink.declare(os.fstat(stream.fileno()).st_size)
            while chunk := stream.read(CHUNK):
                sink.write(chunk)
        return
    from slipstream_builder.fetching import remote  # noqa: PLC0415  # half a second that local files need not pay

    secret = open_secret(source.secret, here.secrets) if source.secret else None
    try:
        attempt = remote.opener(scheme)(source.uri, secret, sink, limits, here)
        persist(attempt, sink, limits, here.clock, here.sleep)
    finally:
        used += secret.used if secret else []


def _checked(source: Source, sink: Sink) -> Fetched:
    if not sink.size:
        raise TransferError("the file is empty; check the address")
    if source.sha256 is not None and sink.sha256 != source.sha256.lower():
        raise TransferError(
            f"its sha256 is {sink.sha256}, wanted {source.sha256}; "
            "it changed or is another file: correct the address or the digest"
        )
    return Fetched(sink.content(), sink.sha256)


def _without(values: list[str], text: str) -> str:
    """Return `text` as one line in which none of `values` occurs, save for those that any word might hold."""
    for value in values:
        if len(value) < _SHORT:
            continue
        text = text.replace(value, "***")
    return " ".join(text.split())


def _silently(_fraction: float, _words: str) -> None:
    """Report nothing."""
