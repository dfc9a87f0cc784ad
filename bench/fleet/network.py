"""A network namespace in which the addresses of all pods are this machine's."""

import os
import shutil
import subprocess
import sys

from bench.fleet.kwok import PODS
from bench.shared.folders import BenchError

_INSIDE = "SLIPSTREAM_BENCH_FLEET_INSIDE"


def enter(module: str) -> None:
    """Return inside the namespace; outside it, become `python -m MODULE` with the same arguments inside.

    Raises:
        BenchError: this is not root on Linux.
    """
    if os.environ.get(_INSIDE) == str(os.getpid()):
        for command in (["link", "set", "lo", "up"], ["route", "add", "local", PODS, "dev", "lo"]):
            subprocess.run(["ip", *command], check=True)
        return
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        raise BenchError("a network namespace is needed: run it as root on Linux, with iproute2")
    os.environ[_INSIDE] = str(os.getpid())  # unshare becomes the command without a fork
    os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", module, *sys.argv[1:]])
