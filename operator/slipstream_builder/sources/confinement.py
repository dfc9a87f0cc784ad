"""Has a source model opened by a process of its own, within limits of time and memory, and says what came of it."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from slipstream_builder.errors import SourceError
from slipstream_builder.sources.finding import FINDING, Finding
from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.recipe import Accelerator

_CHILD = "slipstream_builder.sources.inspection"
_PASSED_ON = (
    "PATH",
    "PYTHONPATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)
"""What the child gets of the environment: no credential among it."""


@dataclass(frozen=True)
class Limits:
    """What opening one model may take: seconds by the clock and of CPU, and bytes beside copies of the model."""

    wall_seconds: float = 600.0
    cpu_seconds: int = 1200
    memory_bytes: int = 3 << 30
    copies: int = 6
    cuda_bytes: int = 16 << 30

    def memory(self, model_bytes: int, accelerator: Accelerator) -> int:
        """Return the bytes that opening a model of `model_bytes` may take."""
        extra = self.cuda_bytes if accelerator == "cuda" else 0
        return self.memory_bytes + self.copies * model_bytes + extra


def inspect(
    source: Path, folder: Path, threads: int, accelerator: Accelerator = "cpu", limits: Limits | None = None
) -> Finding:
    """Return what the model at `source` takes and gives; the cleaned model is left in `folder`.

    Raises:
        SourceError: it is not fit, it crashed the libraries that read it, or it took too much time or memory.
        OSError: the disk is full.
    """
    limits = limits or Limits()
    memory = limits.memory(source.stat().st_size, accelerator)
    options = {
        "--threads": threads,
        "--accelerator": accelerator,
        "--cpu-seconds": limits.cpu_seconds,
        "--memory-bytes": memory,
    }
    # -P: nothing in the folder where the build was started may pass for a library.
    command = [sys.executable, "-P", "-m", _CHILD, str(source), str(folder)]
    command += [str(part) for option in options.items() for part in option]
    code = _run(command, folder, threads, limits)
    return _judged(code, folder, memory, limits)


def _run(command: list[str], folder: Path, threads: int, limits: Limits) -> int | None:
    """Return the child's exit code, or None when its time was up."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment = {**passed, "HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            return child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            child.kill()


def _judged(code: int | None, folder: Path, memory: int, limits: Limits) -> Finding:
    if code is None or code == -signal.SIGXCPU:
        raise SourceError(
            f"model: opening and running it took more than {limits.wall_seconds:g} s (or {limits.cpu_seconds} s of "
            "CPU); it may loop without end: export a smaller model, without loops"
        )
    if code == errno.ENOSPC:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if code == -signal.SIGKILL:
        raise _out_of_memory(memory)
    finding = _read(folder / FINDING) if code == 0 else None
    if finding is None:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise SourceError(
            f"model: it crashes the libraries that open it ({how}), so it could not be checked; export it again"
        )
    if finding.out_of_memory:
        raise _out_of_memory(memory)
    if finding.refusal is not None:
        raise SourceError(finding.refusal)
    return finding


def _out_of_memory(memory: int) -> SourceError:
    return SourceError(
        f"model: opening and running it takes more than {memory >> 20} MiB of memory; export a smaller model"
    )


def _read(path: Path) -> Finding | None:
    try:
        return codec.decode_json(Finding, path.read_bytes(), path.name)
    except (OSError, ContractError):
        return None
