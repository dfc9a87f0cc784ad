"""How an answer reaches its caller: by a callback, because most requests need neither a task nor a future."""

from typing import NamedTuple, Protocol

import msgspec

from slipstream_runtime.protocol.signature import Tensors


class Batch(NamedTuple):
    """The batch that an answer was computed in; times in seconds by time.monotonic()."""

    rows: int
    started: float
    ended: float


class Answer(msgspec.Struct, frozen=True):
    """What the model answered, which variant of it, and in which batch unless it comes from a cache or from several."""

    outputs: Tensors
    variant: str
    batch: Batch | None = None


class Reply(Protocol):
    """Where the answer to one request goes; settled at most once, on the event loop. An asyncio.Future is one."""

    def done(self) -> bool:
        """Return whether the caller has its answer or has gone."""
        ...

    def set_result(self, result: Answer, /) -> None:
        """Hand over the answer; never called when done."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """Hand over why there is none; never called when done."""
        ...
