"""Remember which process is the machine's one cluster, and whether it still lives."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from layout import LOCK
from saying import say

_RECORD = LOCK.with_suffix(".json")


@dataclass(frozen=True)
class Running:
    """The cluster's first process, by its id and its start in clock ticks (as ids are used again), and its folder."""

    process_id: int
    started: int
    folder: str
    ready: bool = False


def started_at(process_id: int) -> int | None:
    """When the process began, in clock ticks after the machine did (proc(5), stat, field 22); None if it has ended."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def recorded() -> Running | None:
    """The cluster that runs on this machine, whoever started it."""
    try:
        running = Running(**json.loads(_RECORD.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return running if started_at(running.process_id) == running.started else None


def record(running: Running) -> None:
    """Write it down, whole or not at all."""
    unfinished = _RECORD.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(running)), encoding="utf-8")
    os.replace(unfinished, _RECORD)


def mark_ready(running: Running) -> None:
    """Write down that the cluster needs no further step."""
    record(replace(running, ready=True))


def forget() -> None:
    """Remove the record."""
    _RECORD.unlink(missing_ok=True)


@contextmanager
def only_one_at_work() -> Iterator[None]:
    """Hold the right to start or stop the machine's cluster; the kernel drops the lock when its holder dies."""
    with LOCK.open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is starting or stopping the cluster; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
