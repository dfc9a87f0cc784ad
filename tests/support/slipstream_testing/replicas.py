"""Starts real replicas as processes and ends them again."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENT = 10_000
"""An objective in milliseconds that a crowded machine holds too, where a refusal would only confuse."""

READY = re.compile(r"on port (\d+), metrics on port (\d+)(?:.*gRPC on port (\d+))?")


@dataclass(eq=False)
class ReplicaProcess:
    """A running replica."""

    process: subprocess.Popen[str]
    port: int
    metrics_port: int
    grpc_port: int = 0

    @property
    def grpc_address(self) -> str:
        """Where it serves gRPC, if it does."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where its metrics and probes are."""
        return f"http://127.0.0.1:{self.metrics_port}"

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)


def arguments(artifact: Path, **options: object) -> list[str]:
    """Return the command line of a replica of the one-variant test artifact, on free ports unless told otherwise."""
    defaults = {"variant": "original", "model": "tiny", "port": 0, "metrics_port": 0, "authentication": "none"}
    chosen = defaults | {"threads": 1, "processes": 1} | options
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    return [sys.executable, "-m", "slipstream_runtime", f"--artifact={artifact}", *flags]


@contextmanager
def replica(
    artifact: Path, pass_fds: tuple[int, ...] = (), prelude: str = "", **options: object
) -> Iterator[ReplicaProcess]:
    """Run a replica until the block ends; it is ready when the block begins.

    `prelude` is Python that its process runs first, to shorten a limit that no option sets.
    """
    command = arguments(artifact, **options)
    if prelude:
        start = f"import sys\n{prelude}\nfrom slipstream_runtime.__main__ import main\nsys.exit(main())"
        command[1:3] = ["-c", start]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, pass_fds=pass_fds) as process:
        try:
            yield ReplicaProcess(process, *_ready(process.stderr))
        finally:
            process.kill()


def _ready(stderr: IO[str] | None) -> tuple[int, int, int]:
    """Read the replica's log up to the line that names its ports; the log ends early when it cannot start."""
    seen = []
    for line in stderr or ():
        seen.append(line)
        found = READY.search(line)
        if found:
            return int(found[1]), int(found[2]), int(found[3] or 0)
    raise RuntimeError(f"the replica did not start: {''.join(seen)}")
