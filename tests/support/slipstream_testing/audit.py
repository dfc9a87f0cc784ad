"""Reads from an API server's audit log when it was asked for what."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from slipstream_testing.api import Json


def created(log: Path, resource: str, namespace: str, offset: int = 0) -> Iterator[tuple[str, float]]:
    """Name every object of a kind that was created in a namespace, with the time of the answer in seconds.

    Only what the log has after so many bytes is read.
    """
    for entry in _entries(log, offset):
        reference, code = entry.get("objectRef", {}), entry.get("responseStatus", {}).get("code")
        about = (reference.get("resource"), reference.get("namespace"), reference.get("subresource"))
        if about == (resource, namespace, None) and code == 201:
            yield reference["name"], datetime.fromisoformat(entry["stageTimestamp"]).timestamp()


def of_user(log: Path, user: str, offset: int) -> Iterator[Json]:
    """Return the requests of a user that the log has after so many bytes."""
    return (entry for entry in _entries(log, offset) if entry["user"]["username"] == user)


def _entries(log: Path, offset: int = 0) -> Iterator[Json]:
    with log.open(encoding="utf-8") as lines:
        lines.seek(offset)
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
