"""What the supervisor and a worker say to each other: one JSON document a line, over a pair of sockets."""

from typing import Literal

import msgspec

from slipstream_runtime.observing.families import Family

ASK = b"status\n"
"""The supervisor's only question."""

LIMIT_BYTES = 4 * 1024 * 1024
"""The longest line read; a status is about 20 KiB."""


class Message(msgspec.Struct, frozen=True):
    """From a worker: `ready` and `failed` once, of its start; `status` for each question."""

    kind: Literal["ready", "failed", "status"]
    words: str = ""
    live: bool = False
    ready: bool = False
    families: list[Family] = []


_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Return the line for `message`."""
    return _encoder.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """Return the message in `line`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decoder.decode(line)
