"""The child process that opens a source model: whatever the file does to the libraries, it does it here.

`python -m slipstream_builder.sources.inspection SOURCE FOLDER ...` leaves the files of `finding`. It is started by
`confinement`, and sets itself the limits it is told before it reads anything.
"""

import argparse
import ctypes
import errno
import logging
import resource
import signal
import sys
from pathlib import Path

from slipstream_builder.errors import SourceError
from slipstream_builder.files import is_disk_full
from slipstream_builder.sources.checking import Opener, inspect
from slipstream_builder.sources.finding import FINDING, MODEL, Finding
from slipstream_contract import codec

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def _limit(cpu_seconds: int, memory_bytes: int) -> None:
    """Bound this process, and end it with its parent."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # At the soft limit comes a signal that names the cause; at the hard one, one that does not.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    # Of writable memory only: libraries reserve, and map from files, far more addresses than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def main(arguments: list[str] | None = None) -> int:
    """Inspect the file that `arguments` name; return 0 when there is a finding, whichever it is."""
    parser = argparse.ArgumentParser(prog="inspection", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--accelerator", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    parsed = parser.parse_args(arguments)
    _limit(parsed.cpu_seconds, parsed.memory_bytes)
    try:
        finding = inspect(parsed.source, Opener(parsed.folder, parsed.threads, parsed.accelerator))
    except SourceError as error:
        finding = Finding(refusal=str(error))
    except MemoryError:
        finding = Finding(out_of_memory=True)
    except OSError as error:
        if is_disk_full(error):
            return errno.ENOSPC
        raise
    if finding.refusal or finding.out_of_memory:
        (parsed.folder / MODEL).unlink(missing_ok=True)
    (parsed.folder / FINDING).write_bytes(codec.canonical_json(finding))
    return 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
