"""Run one program of the control plane with its output in a log file, and never leave it behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_STOP_SECONDS = 10
_LOG_TAIL_LINES = 15


class Component:
    """A child process that ends with `stop`, or with this process if that dies first.

    Linux ties a child to the thread that started it: start components from a thread that lives as long as they should.
    """

    def __init__(self, binary: Path, flags: dict[str, str], folder: Path, arguments: Sequence[str] = ()) -> None:
        """Describe the process; `flags` maps names without dashes to values, and the log goes to the folder.

        `arguments` follow the flags as they are.
        """
        self.name = binary.name
        self.log = folder / f"{binary.name}.log"
        self._command = [str(binary), *(f"--{name}={value}" for name, value in flags.items()), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the component runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process, in a session of its own so that Ctrl-C reaches the tests and not what they run on."""
        tether = [sys.executable, "-I", str(_TETHER), str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tether, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """End the process: politely, then by force."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log_tail(self) -> str:
        """The last lines the process wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports on 127.0.0.1 that nothing listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
