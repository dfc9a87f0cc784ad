"""Closed-loop load from wrk: so many connections, each with one request under way."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.shared.folders import BenchError

_SCRIPT = Path(__file__).with_name("play.lua")
_TAIL_SECONDS = 20


@dataclass(frozen=True)
class Load:
    """What wrk counted; latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.refused) / self.seconds


def check_installed() -> None:
    """Raise where wrk is missing.

    Raises:
        BenchError: it is.
    """
    if shutil.which("wrk") is None:
        raise BenchError("wrk is not installed; on Debian and Ubuntu: apt-get install wrk")


def write_requests(path: Path, requests: Sequence[bytes], order: Sequence[int] = ()) -> Path:
    """Write what wrk is to send to `path`, and return it; `order` holds indices into `requests`, played in turn."""
    parts = [part for request in requests for part in (f"{len(request)}\n".encode(), request)]
    if order:
        parts += [b"order\n", *(f"{index + 1}\n".encode() for index in order)]
    path.write_bytes(b"".join(parts))
    return path


def offer(port: int, requests: Path, connections: int, seconds: float, threads: int = 1) -> Load:
    """Send the requests of the file for so long, in whole seconds as wrk counts, one at least.

    A thread of wrk sends some 70 thousand requests a second at most; each one plays the whole file.

    Raises:
        BenchError: wrk failed.
    """
    command = [
        "wrk",
        f"-t{threads}",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(_SCRIPT),
    ]
    command += [f"http://127.0.0.1:{port}", "--", str(requests)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _TAIL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchError("wrk did not end in time") from error
    found = next((line for line in done.stdout.splitlines() if line.startswith("counted ")), None)
    if found is None:
        raise BenchError(f"wrk failed: {' '.join((done.stderr or done.stdout).split())[:160]}")
    counted = json.loads(found.removeprefix("counted "))
    return Load(
        counted["requests"],
        counted["microseconds"] / 1e6,
        counted["refused"],
        counted["broken"],
        counted["p50"] / 1e3,
        counted["p99"] / 1e3,
    )
