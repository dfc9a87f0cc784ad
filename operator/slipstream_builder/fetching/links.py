"""Opens a local file without being led elsewhere: by a symbolic link out of its folder, a hard link, or a device.

In a shared claim another pod may plant a link to a file that only this build can read, so what counts is the file that
was opened, not the name that was asked for.
"""

import os
import stat
from pathlib import Path
from typing import IO


def open_inside(path: Path, root: Path | None = None) -> IO[bytes]:
    """Open the regular file at `path`; with all links followed it must lie in `root`, by default its own folder.

    Raises:
        ValueError: it is missing, is no regular file, is hard-linked, or lies outside; the message says what to do.
    """
    home = Path(os.path.realpath(root if root is not None else path.parent))
    try:
        # Without O_NONBLOCK a FIFO that nobody writes to would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError("no such file; check the path") from None
    except OSError as error:
        raise ValueError(f"cannot be opened ({error.strerror}); check the path and its permissions") from error
    try:
        _require_plain(os.fstat(descriptor))
        _require_inside(descriptor, home)
    except ValueError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _require_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("not a regular file; name one file")
    if found.st_nlink > 1:
        raise ValueError(
            f"it has {found.st_nlink} hard links, so it may be another's file under this name; name a copy of it (cp)"
        )


def _require_inside(descriptor: int, home: Path) -> None:
    """Ask the kernel where the open file lies: a link may have been swapped between a check of the path and its use."""
    real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if not real.is_relative_to(home):
        raise ValueError(f"a symbolic link leads out of {home} to {real}; name that file itself, or a copy of it")
