"""The processes that build candidates: started, listened to, and ended with all that is theirs."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from slipstream_contract.errors import ContractError
from slipstream_contract.progress import Progress

WORKER = "slipstream_builder.search.worker"
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Ended:
    """A process that ended: its exit code (negative: the signal), its last words, and why we ended it, if we did."""

    name: str
    code: int
    last_words: str
    stopped: str | None


@dataclass
class _Member:
    process: subprocess.Popen[bytes]
    started: float
    deadline: float
    errors: Path
    line: bytes = b""
    stopped: str | None = None
    fraction: float = 0.0


@dataclass
class Crew:
    """At most `workers` processes at a time, with their logs in `folder`; leaving the block ends them all."""

    folder: Path
    workers: int
    threads: int
    clock: Callable[[], float]
    _members: dict[str, _Member] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members.values():
            _kill(member)
            member.process.wait()
            if member.process.stdout is not None:
                member.process.stdout.close()
        self._selector.close()

    @property
    def free(self) -> bool:
        """Whether another process may start."""
        return len(self._members) < self.workers

    @property
    def progress(self) -> Mapping[str, tuple[float, float]]:
        """Per running candidate, the share that is done (0 to 1) and the seconds it took."""
        now = self.clock()
        return {name: (member.fraction, now - member.started) for name, member in self._members.items()}

    def start(self, name: str, task: Path, deadline: float) -> None:
        """Start the process of the task file `task`, which must end by `deadline` on the clock."""
        errors = self.folder / f"{name}.log"
        with errors.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(task), f"--parent={os.getpid()}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._surroundings(),
                # Ctrl-C reaches only us; and what the process starts goes with it.
                start_new_session=True,
            )
        self._members[name] = _Member(process, self.clock(), deadline, errors)
        if process.stdout is not None:
            self._selector.register(process.stdout, selectors.EVENT_READ, name)

    def stop(self, name: str, reason: str) -> None:
        """End one process; it will be told as ended, for this reason or an earlier one."""
        member = self._members[name]
        member.stopped = member.stopped or reason
        _kill(member)

    def listen(self, seconds: float) -> list[Progress | Ended]:
        """Return what the processes said or how they ended, waiting for news at most `seconds`."""
        news: list[Progress | Ended] = []
        for key, _ in self._selector.select(seconds):
            name = key.data
            member = self._members[name]
            chunk = os.read(key.fd, _CHUNK)
            if not chunk:
                self._selector.unregister(key.fileobj)
                news.append(self._ended(name, member))
                continue
            *lines, member.line = (member.line + chunk).split(b"\n")
            for line in lines:
                with contextlib.suppress(ContractError):
                    if (progress := Progress.from_line(line.decode("utf-8", "replace"))) is not None:
                        member.fraction = progress.fraction
                        news.append(progress)
        now = self.clock()
        for name, member in self._members.items():
            if member.stopped is None and now >= member.deadline:
                spent = now - member.started
                self.stop(name, f"stopped after {spent:.0f} s, {member.fraction:.0%} done: the time budget ran out")
        return news

    def _ended(self, name: str, member: _Member) -> Ended:
        code = member.process.wait()
        if member.process.stdout is not None:
            member.process.stdout.close()
        del self._members[name]
        lines = member.errors.read_text(errors="replace").strip().splitlines()
        return Ended(name, code, lines[-1].strip() if lines else "", member.stopped)

    def _surroundings(self) -> dict[str, str]:
        """Hashes in a fixed order, since some libraries write what sets hold; and no more threads than were given."""
        return {
            **os.environ,
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": str(self.threads),
            "OPENBLAS_NUM_THREADS": str(self.threads),
            "TMPDIR": tempfile.gettempdir(),
        }


def _kill(member: _Member) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(member.process.pid, signal.SIGKILL)
