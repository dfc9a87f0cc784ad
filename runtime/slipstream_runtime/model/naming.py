"""The file that names the variant to serve from now on, looked at once a second."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
LONGEST_NAME = 253


class VariantFile:
    """Calls `choose` with the name in the file, at the start and whenever the file changes or is replaced.

    A volume that Kubernetes projects changes by a link that is turned to another folder, so the file is looked at
    through its links: a change shows as another inode, time or size.
    """

    def __init__(self, path: Path, choose: Callable[[str], None]) -> None:
        self._path = path
        self._choose = choose
        self._seen: tuple[int, int, int, int] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look now, and every second from now on."""
        self.look()
        self._timer = self._loop.call_later(EVERY_SECONDS, self.start)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Read the file if it is another one than last time; one that is missing or unreadable changes nothing."""
        try:
            found = os.stat(self._path)
            mark = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if mark == self._seen:
                return
            name = self._path.read_text(encoding="utf-8")[: LONGEST_NAME + 1].strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._seen is not None:
                logger.warning("--variant-file: cannot be read (%s); serving on as before", type(error).__name__)
            self._seen = None
            return
        self._seen = mark
        if name:
            self._choose(name)
