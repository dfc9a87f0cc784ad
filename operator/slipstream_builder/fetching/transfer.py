"""What every scheme shares: limits, the file that bytes go to, and attempts with growing pauses."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap

MAX_BYTES = 2 << 30
CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of one fetch, in bytes and seconds.

    `attempts` counts those in a row that brought no new byte; `read_seconds` is how long a server may stay silent.
    """

    max_bytes: int = MAX_BYTES
    total_seconds: float = 1800.0
    connect_seconds: float = 15.0
    read_seconds: float = 30.0
    attempts: int = 5
    first_pause: float = 0.5
    longest_pause: float = 30.0


class TransferError(Exception):
    """The file cannot be had, and trying again will not help; the message says what is wrong and what to do."""


class BrokenOffError(Exception):
    """This attempt failed, the next may not; `wait` is the pause in seconds that the server asked for."""

    def __init__(self, words: str, wait: float = 0.0) -> None:
        super().__init__(words)
        self.wait = wait


class Sink:
    """Takes the bytes of one file, in order, to an unnamed file in the work folder, which goes with its last user."""

    def __init__(self, max_bytes: int, report: Callable[[int, int | None], None]) -> None:
        """Take at most `max_bytes`; `report` hears the bytes taken and the total, None where that is unknown."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._hash = hashlib.sha256()
        self._max_bytes = max_bytes
        self._report = report
        self.size = 0
        self.total: int | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 in hex of what was taken so far."""
        return self._hash.hexdigest()

    def declare(self, total: int | None) -> None:
        """Note the size that the server gives for the whole file, and refuse what is too large before it is sent.

        Raises:
            TransferError: it is more than is taken.
        """
        self.total = total
        if total is not None and total > self._max_bytes:
            raise self._too_large()

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            TransferError: there are more than are taken.
        """
        if self.size + len(chunk) > self._max_bytes:
            raise self._too_large()
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        self._report(self.size, self.total)

    def restart(self) -> None:
        """Forget what was taken."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size, self.total = 0, None

    def content(self) -> mmap:
        """Return what was taken, mapped: its pages come from the file, and the system may drop them again."""
        self._file.flush()
        return mmap(self._file.fileno(), self.size, access=ACCESS_READ)

    def close(self) -> None:
        """Let go of the file; what `content` gave stays."""
        self._file.close()

    def _too_large(self) -> TransferError:
        return TransferError(f"larger than {words_of_bytes(self._max_bytes)}, the most a build takes; make it smaller")


def words_of_bytes(count: int) -> str:
    """Return `count` bytes for people."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"


def reason(error: OSError) -> str:
    """Return why a system call failed, without the addresses that asyncio puts beside it."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def persist(
    attempt: Callable[[float], None],
    sink: Sink,
    limits: Limits,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Call `attempt` with the seconds it may take until it returns; it resumes where `sink` stands.

    Pauses double from `limits.first_pause`, and start over with every attempt that brought bytes.

    Raises:
        TransferError: an attempt raised it, or attempts or time ran out.
    """
    deadline, failures = clock() + limits.total_seconds, 0
    while True:
        before = sink.size
        try:
            attempt(max(deadline - clock(), 0.001))
        except BrokenOffError as error:
            failures = 1 if sink.size > before else failures + 1
            pause = max(min(limits.first_pause * 2 ** (failures - 1), limits.longest_pause), error.wait)
            _give_up(error, failures, deadline - clock() - pause, limits)
            sleep(pause)
        else:
            return


def _give_up(error: BrokenOffError, failures: int, left: float, limits: Limits) -> None:
    if left <= 0:
        raise TransferError(
            f"not complete within {limits.total_seconds:g} s ({error}); move the file nearer, or try again later"
        ) from error
    if failures >= limits.attempts:
        raise TransferError(
            f"cannot be read ({error}; {failures} attempts); check the address and the network"
        ) from error
