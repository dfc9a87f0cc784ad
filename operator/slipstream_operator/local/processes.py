"""Child processes that never outlive us: own session, killed with the parent, ended by process id."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class Child:
    """One running child process, with its log file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.returncode

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Its standard output, where it was asked for."""
        if self._process.stdout is None:
            raise ValueError(f"process {self.pid} was started without a pipe")
        return self._process.stdout

    def last_line(self) -> str:
        """Return the last line of its log that is not empty."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return lines[-1].strip() if lines else ""
        return ""

    async def wait(self) -> int:
        """Return its exit status when it has ended."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def stop(self, patience_seconds: float) -> int:
        """Ask it to end, kill it when it does not within `patience_seconds`, and return its exit status."""
        self.terminate()
        try:
            async with asyncio.timeout(patience_seconds):
                return await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()


async def start(arguments: Sequence[str], log: Path, *, pipe: bool = False, pass_fds: Sequence[int] = ()) -> Child:
    """Start `python -m ARGUMENTS...` with its errors, and without `pipe` its output too, appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if pipe else output,
            stderr=output,
            pass_fds=tuple(pass_fds),
            # Ctrl-C reaches only us; we then end the children in order.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
            limit=2**20,
        )
    return Child(process, log)


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec so that the kernel kills it when we are killed (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return arm
