"""Makes the levels that the options ask for."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.caching.entries import Entries
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.caching.responses import ResponseCache
from slipstream_runtime.caching.saving import ComputeShare, WholeRequest
from slipstream_runtime.errors import StartError
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.signature import Signature

if TYPE_CHECKING:
    from slipstream_runtime.caching.shared import SharedLevel

ADDRESS = re.compile(r"rediss?://[^\s/]+(/\d*)?")


@dataclass(frozen=True)
class Caches:
    """The levels of one process: `responses` before decoding, `answers` before batching, `shared` behind them."""

    answers: AnswerCache
    responses: ResponseCache
    shared: "SharedLevel | None"

    def switch(self, variant: str) -> None:
        """Answer for `variant` from now on; call it where the batcher is switched."""
        self.answers.switch(variant)
        self.responses.switch(variant)

    def start(self) -> None:
        """Begin what goes on in the background, on the running loop."""
        if self.shared is not None:
            self.shared.start()

    async def close(self) -> None:
        """End it."""
        if self.shared is not None:
            await self.shared.close()


@dataclass(frozen=True)
class Address:
    """Where the shared cache is, and the secret that its entries are signed with."""

    url: str
    secret: bytes


def open_caches(
    options: ServingOptions,
    artifact: str,
    signature: Signature,
    telemetry: Telemetry,
    expected: Callable[[int], float],
) -> Caches | None:
    """Return the levels, None when the cache is off; `expected` predicts in how many seconds so many rows are computed.

    Raises:
        StartError: the file with the address of Redis cannot be used.
    """
    address = read_address(options)
    if options.cache_bytes == 0:
        return None
    shared = None
    if address is not None:
        from slipstream_runtime.caching.shared import SharedLevel  # noqa: PLC0415  # Redis' client: only where used

        entries = Entries(address.secret, artifact, signature)
        shared = SharedLevel(address.url, entries, options.cache_ttl_seconds, telemetry.redis, expected)
    store = ByteLru(options.cache_bytes, options.cache_ttl_seconds)
    variant = options.variant
    answers = AnswerCache(store, artifact, variant, telemetry, ComputeShare(telemetry), shared=shared)
    responses = ResponseCache(store, artifact, variant, telemetry.responses, WholeRequest(telemetry))
    return Caches(answers, responses, shared)


def read_address(options: ServingOptions) -> Address | None:
    """Return what `--cache-redis-file` holds, None without one: the address, and a secret on a second line if wanted.

    Raises:
        StartError: it is unreadable, no address, or there is no local cache in front of it.
    """
    if not options.cache_redis_file:
        return None
    if options.cache_bytes == 0:
        raise StartError("--cache-redis-file: needs a cache in front of it; give --cache-bytes as well")
    try:
        with open(options.cache_redis_file, encoding="utf-8") as file:
            lines = file.read(4096).strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "not text"
        raise StartError(f"--cache-redis-file: {options.cache_redis_file}: {words}; give a readable file") from error
    if not 1 <= len(lines) <= 2 or not ADDRESS.fullmatch(lines[0].strip()):
        raise StartError(
            "--cache-redis-file: must hold redis://[USER:PASSWORD@]HOST:PORT/DB or rediss://..., and on a second line"
            " a secret that signs the entries, if others use that Redis too"
        )
    secret = hashlib.sha256(b"slipstream shared cache\n" + "\n".join(lines).encode()).digest()
    return Address(lines[0].strip(), secret)
