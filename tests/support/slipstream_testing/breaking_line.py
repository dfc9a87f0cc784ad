"""A line to a server that breaks after so many bytes, as networks do."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class BreakingLine:
    """Carries connections to `target`; the first ones break after so many bytes of answer each, then none does.

    After each break `on_break` is called, before the client notices.
    """

    def __init__(self, target: str, breaks: Sequence[int], on_break: Callable[[], object] = lambda: None) -> None:
        """Listen on a free port; nothing is carried yet."""
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._breaks = list(breaks)
        self._on_break = on_break
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.carried = 0

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(self._target) as far:
                upward = threading.Thread(target=_copy, args=(near, far))
                upward.start()
                self._answer(far, near, self._breaks.pop(0) if self._breaks else None)
                for line in (near, far):
                    with suppress(OSError):
                        line.shutdown(socket.SHUT_RDWR)
                upward.join()

    def _answer(self, far: socket.socket, near: socket.socket, limit: int | None) -> None:
        left = limit
        with suppress(OSError):
            while left != 0 and (piece := far.recv(min(1 << 16, left or 1 << 16))):
                near.sendall(piece)
                self.carried += len(piece)
                left = None if left is None else left - len(piece)
        if limit is not None:
            self._on_break()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
