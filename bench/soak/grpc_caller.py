"""A caller over gRPC on a plain socket: HTTP/2 as far as calls need it, so that it costs little."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from hpack import Decoder

from bench.soak.callers import connect, hang_up, read
from bench.soak.counts import Counts
from bench.soak.grpc_requests import GrpcKind
from slipstream_runtime.rpc import frames
from slipstream_runtime.rpc.status import DEADLINE_EXCEEDED, INTERNAL, OK, RESOURCE_EXHAUSTED

_ODDS = (("one", 55), ("typed", 25), ("three", 14), ("trap", 2), ("hasty", 4))
_RETURN_BYTES = frames.DEFAULT_WINDOW // 2


@dataclass
class _Asked:
    kind: GrpcKind
    nonce: int
    content: bytes = b""
    status: int | None = None


class GrpcCaller:
    """A few calls at a time on one connection."""

    together = 4

    def __init__(self, port: int, kinds: Mapping[str, GrpcKind], counts: Counts, seed: int) -> None:
        self._kinds = [kinds[name] for name, odds in _ODDS for _ in range(odds)]
        self._counts = counts
        self._random = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        self.socket = connect(port)
        self.socket.send(frames.PREFACE + frames.settings({}))
        self._buffer = b""
        self._headers = Decoder()
        self._stream = 1
        self._asked: dict[int, _Asked] = {}
        self._taken = 0

    @property
    def under_way(self) -> int:
        """How many calls wait for their answers."""
        return len(self._asked)

    def send(self, nonce: int) -> None:
        """Make a call."""
        kind = self._random.choice(self._kinds)
        self._asked[self._stream] = _Asked(kind, nonce)
        self._counts.grpc += 1
        self.socket.send(kind.request(self._stream, nonce))
        self._stream += 2

    def leave(self) -> bool:
        """Cancel any one call, or close the connection with all of them, each half of the time."""
        if self._random.random() < 0.5:
            stream = self._random.choice(list(self._asked))
            del self._asked[stream]
            self._counts.left += 1
            self.socket.send(frames.reset(stream, frames.CANCEL))
            return True
        self._counts.left += len(self._asked)
        hang_up(self.socket, reset=self._random.random() < 0.5)
        return False

    def receive(self) -> bool:
        """Read, and count every answer that is whole."""
        received = read(self.socket)
        self._buffer += received
        while (end := self._frame_end()) <= len(self._buffer):
            _, _, kind, flags, stream = frames.HEAD.unpack_from(self._buffer)
            payload = self._buffer[frames.HEAD_BYTES : end]
            self._buffer = self._buffer[end:]
            self._take(kind, flags, stream, payload)
        if not received:
            self._counts.silent += len(self._asked)
            self.socket.close()
        return bool(received)

    def _frame_end(self) -> int:
        if len(self._buffer) < frames.HEAD_BYTES:
            return frames.HEAD_BYTES
        return frames.HEAD_BYTES + int.from_bytes(self._buffer[:3], "big")

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.SETTINGS and not flags & frames.ACK:
            self.socket.send(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        elif kind == frames.DATA:
            self._return(len(payload))
        fields = dict(self._headers.decode(payload, raw=True)) if kind == frames.HEADERS else {}
        asked = self._asked.get(stream)
        if asked is None:
            return  # of the connection, or of a call given up
        if kind == frames.DATA:
            asked.content += payload
        if b"grpc-status" in fields:
            asked.status = int(fields[b"grpc-status"])
        if flags & frames.END_STREAM or kind == frames.RST_STREAM:
            del self._asked[stream]
            self._judge(asked)

    def _return(self, size: int) -> None:
        """Let the replica send more, once much has been taken."""
        self._taken += size
        if self._taken >= _RETURN_BYTES:
            self.socket.send(frames.window_update(0, self._taken))
            self._taken = 0

    def _judge(self, asked: _Asked) -> None:
        if asked.status == OK:
            self._counts.answered(own=asked.kind.answers(asked.content, asked.nonce), fails=asked.kind.fails)
        elif asked.status == INTERNAL:
            self._counts.errored(fails=asked.kind.fails)
        elif asked.status in {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}:
            self._counts.refused += 1
        else:
            self._counts.wrong += 1
