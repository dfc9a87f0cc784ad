"""Reads `.parquet` in a process of its own, with a limit on its memory, since a hostile file can crash the reader.

This module is both ends: `read` starts the process, `main` is what runs in it. What comes back is an .npz, which is
read with the same distrust as a user's.
"""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import npz

MAGIC = b"PAR1"
_SECONDS = 600
_REFUSED = 3
_COPIES = 4
_SLACK = 256 << 20


def read(data: bytes, what: str, max_bytes: int) -> dict[str, Array]:
    """Return the columns of the .parquet `data` as arrays by name.

    Raises:
        ValidationError: it is broken, has nulls, ragged lists or columns of other types, or takes over `max_bytes`.
    """
    command = [sys.executable, "-P", "-m", __spec__.name, what, str(max_bytes)]
    try:
        ran = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValidationError(f"{what}: not read within {_SECONDS} s; write it again, or use fewer items") from error
    if ran.returncode == _REFUSED:
        raise ValidationError(ran.stdout.decode())
    if ran.returncode:
        raise ValidationError(
            f"{what}: not a readable .parquet (its reader ended with code {ran.returncode}); "
            "write it with pyarrow.parquet.write_table"
        )
    return npz.read(ran.stdout, what, max_bytes + _SLACK)


def main(what: str, max_bytes: int) -> int:
    """Read a .parquet from the standard input and write an .npz, or why not, to the standard output."""
    from slipstream_builder.validation.formats import parquet  # noqa: PLC0415  # pyarrow is of use to the child only

    data = sys.stdin.buffer.read()
    with contextlib.suppress(OSError, ValueError):
        _limit_memory(_COPIES * max_bytes + len(data) + _SLACK)
    try:
        arrays = parquet.decode(data, what, max_bytes)
        packed = npz.write(arrays)
    except MemoryError:
        message = f"{what}: takes more memory to read than {max_bytes >> 20} MiB of arrays should; use fewer items"
    except ValidationError as error:
        message = str(error)
    else:
        sys.stdout.buffer.write(packed)
        return 0
    sys.stdout.buffer.write(message.encode())
    return _REFUSED


def _limit_memory(further: int) -> None:
    """Let this process have `further` bytes more than it has now; where Linux is not, nothing limits it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + further, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
