"""Starts operators by forking a process that has imported everything: 20 ms where a new interpreter takes seconds.

`Zygote` is the side of the tests; run as a program, this module is the process that forks, told line by line what to
do: a JSON list [log file, kubeconfig, flags...] starts an operator and is answered with its process id; a process id
ends that operator by SIGKILL and is answered when it is dead.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import Self

from kubernetes.aio.config import kube_config

_TETHER = Path(__file__).parents[1] / "tether.py"
_PR_SET_PDEATHSIG = 1


class Zygote:
    """The process that forks operators; it and all of them end with the `async with` block."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start, and return when everything is imported."""
        command = [sys.executable, "-I", str(_TETHER), str(os.getpid()), sys.executable, "-m", __name__]
        pipe = asyncio.subprocess.PIPE
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment)
        await self._answer()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, and with it every operator that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def start(self, log: Path, kubeconfig: Path, flags: list[str]) -> int:
        """Start an operator and return its process id."""
        return int(await self._ask([str(log), str(kubeconfig), *flags]))

    async def kill(self, pid: int) -> None:
        """End an operator as a crash would, and return when it is dead."""
        await self._ask(pid)

    async def _ask(self, request: object) -> str:
        process = self._running()
        async with self._turn:
            if process.stdin is not None:
                process.stdin.write(f"{json.dumps(request)}\n".encode())
            return await self._answer()

    async def _answer(self) -> str:
        stdout = self._running().stdout
        line = await stdout.readline() if stdout is not None else b""
        if not line:
            raise RuntimeError("the process that forks operators ended; its words are above")
        return line.decode().strip()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("nothing runs; use `async with`")
        return self._process


def serve() -> None:
    """Import the operator, then fork and kill as told on standard input until that ends."""
    from slipstream_operator.api import schema  # noqa: PLC0415  here, so that importing `Zygote` costs nothing
    from slipstream_operator.cluster import main  # noqa: PLC0415
    from slipstream_testing.manifests import agent_deployment  # noqa: PLC0415

    schema.validate(agent_deployment())  # compiles the schema's rules once for all
    gc.freeze()
    print("ready", flush=True)  # noqa: T201  the answers are the protocol
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            os.kill(request, signal.SIGKILL)
            os.waitpid(request, 0)
            print(request, flush=True)  # noqa: T201
        elif (pid := os.fork()) == 0:
            try:
                _become(*request[:2])
                main.main(request[2:])
            finally:
                os._exit(1)
        else:
            print(pid, flush=True)  # noqa: T201


def _become(log: str, kubeconfig: str) -> None:
    """Make the forked process an operator's: its own log and credentials, and a life no longer than its parent's."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    os.setsid()
    os.environ["KUBECONFIG"] = kubeconfig
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = kubeconfig  # the library looked at the environment when imported


if __name__ == "__main__":
    serve()
