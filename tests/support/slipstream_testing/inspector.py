"""Runs many confined inspections from one warm process, which forks for each: as apart as in a build, but quick.

Run as `python -m slipstream_testing.inspector`: a line of JSON in, the inspection's arguments; a line of JSON out.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

SUPPORT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Used:
    """What one inspection took: bytes of resident memory at its peak."""

    peak_bytes: int


class Inspector:
    """The warm process; its `run` stands in for the one that `confinement` uses to start a process from cold."""

    def __init__(self, *preloaded: str) -> None:
        """Start it with the modules `preloaded` imported."""
        self.used: list[Used] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "slipstream_testing.inspector", *preloaded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SUPPORT), "OMP_NUM_THREADS": "1"},
        )

    def run(self, command, _folder, _threads, limits):
        """Return the exit code of the inspection that `command` asks for, None when its time was up."""
        arguments = command[command.index("slipstream_builder.sources.inspection") + 1 :]
        self._process.stdin.write(json.dumps({"arguments": arguments, "seconds": limits.wall_seconds}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.used.append(Used(answer["peak_bytes"]))
        return answer["code"]

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve() -> None:
    from slipstream_builder.sources import inspection  # noqa: PLC0415

    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _inspect(inspection.main, job["arguments"])
        print(json.dumps(_awaited(child, job["seconds"])), flush=True)  # noqa: T201


def _inspect(main, arguments) -> None:
    code = 1
    try:
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        code = main(arguments)
    finally:
        os._exit(code)


def _awaited(child, seconds):
    late = threading.Event()

    def stop():
        late.set()
        os.kill(child, 9)

    timer = threading.Timer(seconds, stop)
    timer.start()
    _, status, usage = os.wait4(child, 0)
    timer.cancel()
    code = None if late.is_set() else os.waitstatus_to_exitcode(status)
    return {"code": code, "peak_bytes": usage.ru_maxrss * 1024}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        __import__(name)
    _serve()
