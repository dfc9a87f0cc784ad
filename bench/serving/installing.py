"""Gives every peer a virtual environment of its own, pinned with hashes, and us the runtime as the images have it."""

import functools
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.shared import folders
from bench.shared.folders import BenchError

PEERS = Path(__file__).with_name("peers")
SYSTEM_PYTHON = Path("/usr/bin/python3.11")
"""PyTriton's bundled Python stub needs the interpreter as distributions build it."""
_COMPILED = Path(__file__).parents[2] / "hack" / "compiled.py"
_SECONDS = 900


def installed(name: str, python: Path | None = None) -> Path:
    """Return the peer's interpreter, installed first where it is missing or its requirements have changed.

    Raises:
        BenchError: it does not install.
    """
    requirements = PEERS / f"{name}.txt"
    home = folders.root() / "peers" / name
    interpreter, mark = home / "bin" / "python", home / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted and interpreter.exists():
        return interpreter
    if python is not None and not python.exists():
        raise BenchError(f"{name}: needs {python}; on Debian 12: apt-get install python3.11-venv")
    print(f"{name}: installing into {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    for command in _commands(home, requirements, str(python or sys.executable)):
        _run(name, command)
    mark.write_text(wanted)
    return interpreter


@functools.cache
def compiled_runtime() -> Path:
    """Return the folder of the runtime with its hot modules compiled, as the images have it.

    Raises:
        BenchError: this machine cannot compile it.
    """
    done = subprocess.run([sys.executable, str(_COMPILED)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError("the runtime's hot modules do not compile; on Debian 12: apt-get install gcc libpython3-dev")
    return Path(done.stdout.strip())


def _commands(home: Path, requirements: Path, python: str) -> list[list[str]]:
    uv, own = shutil.which("uv"), str(home / "bin" / "python")
    if uv is not None:
        install = [uv, "pip", "install", "--quiet", "--python", own, "--require-hashes", "-r", str(requirements)]
        return [[uv, "venv", "--quiet", "--python", python, str(home)], install]
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[python, "-m", "venv", str(home)], [*pip, "--require-hashes", "-r", str(requirements)]]


def _run(name: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{name}: did not install ({type(error).__name__})") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise BenchError(f"{name}: did not install ({lines[-1][:160]})")
