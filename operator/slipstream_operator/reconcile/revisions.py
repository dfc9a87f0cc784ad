"""The kept revisions: artifacts that have served, to which one field goes back without a build."""

import json
from dataclasses import dataclass
from functools import lru_cache

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.summary import BuildSummary

KEPT = 5
NAME_LENGTH = 12
TEXTS = 256
"""Texts of revisions that are remembered as read: a turn reads the same one several times."""


@dataclass(frozen=True)
class Revision:
    """An artifact that has served, and when it last began to (RFC 3339)."""

    summary: BuildSummary
    at: str

    @property
    def digest(self) -> str:
        """The artifact's SHA-256 in hex."""
        return self.summary.artifact_digest or ""

    @property
    def name(self) -> str:
        """What `spec.rollout.revision` calls it."""
        return self.digest[:NAME_LENGTH]


def remember(kept: tuple[Revision, ...], serving: BuildSummary, timestamp: str) -> tuple[Revision, ...]:
    """Return the kept revisions, newest first, once replicas of `serving` have answered at the time `timestamp`."""
    if kept and kept[0].digest == serving.artifact_digest:
        return kept
    others = (revision for revision in kept if revision.digest != serving.artifact_digest)
    return (Revision(serving, timestamp), *others)[:KEPT]


def find(kept: tuple[Revision, ...], wanted: str) -> Revision | None:
    """Return the revision of that name or `sha256:` digest."""
    digest = wanted.removeprefix("sha256:")
    return next((revision for revision in kept if digest in (revision.name, revision.digest)), None)


def to_json(kept: tuple[Revision, ...]) -> str:
    """Return the revisions as JSON."""
    return codec.canonical_json([{"at": revision.at, "summary": revision.summary} for revision in kept]).decode()


@lru_cache(TEXTS)
def from_json(text: str) -> tuple[Revision, ...]:
    """Return the revisions in `text`; none where it is not what `to_json` wrote."""
    try:
        return tuple(codec.decode(Revision, document) for document in json.loads(text))[:KEPT]
    except (ValueError, TypeError, ContractError):
        return ()
