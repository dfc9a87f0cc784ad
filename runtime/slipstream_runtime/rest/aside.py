"""Decodes large bodies on one thread, so that the callers of small requests do not wait for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from slipstream_runtime.errors import OverloadedError
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.rest.limits import MAX_BODY_BYTES

MAX_WAITING_BYTES = 8 * MAX_BODY_BYTES
"""Bodies decoded or waiting for it, all together."""

SWITCH_SECONDS = 0.0005
"""How soon the loop gets the interpreter back from the thread, with sys.setswitchinterval.

Python's default of 5 ms let bodies of 8 MiB triple the 99th percentile of small requests beside them.
"""


class Aside:
    """One thread: several would only take turns with the loop more often, as decoding holds the interpreter."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "decoding")
        self._loop = asyncio.get_running_loop()
        self._bytes = 0

    def decode(
        self,
        decode: Callable[[bytes], InferRequest],
        body: bytes,
        done: "Callable[[asyncio.Future[InferRequest]], None]",
    ) -> None:
        """Have `decode` called with `body`, and `done` with the outcome, later on the loop.

        Raises:
            OverloadedError: too much waits already.
        """
        if self._bytes + len(body) > MAX_WAITING_BYTES:
            raise OverloadedError("overloaded: too many large bodies wait to be decoded; retry later", 1)
        self._bytes += len(body)

        def decoded(outcome: "asyncio.Future[InferRequest]") -> None:
            self._bytes -= len(body)
            done(outcome)

        self._loop.run_in_executor(self._pool, decode, body).add_done_callback(decoded)
