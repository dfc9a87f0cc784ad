"""One server that answers `/metrics` at the address of every pod, with what a real idle replica says."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

from slipstream_contract import names
from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.replicas import replica


def real_page(variant: str) -> bytes:
    """Return the metrics of a real replica that serves the `variant` and has answered nothing yet."""
    with tempfile.TemporaryDirectory() as scratch:
        write_artifact(Path(scratch) / "artifact", mlp(), variant)
        with replica(Path(scratch) / "artifact", variant=variant) as running:
            connection = HTTPConnection("127.0.0.1", running.metrics_port, timeout=10)
            try:
                connection.request("GET", "/metrics")
                return connection.getresponse().read()
            finally:
                connection.close()


class _Answer(asyncio.Protocol):
    """Sends the page for every packet, as each of the operator's requests is one."""

    def __init__(self, page: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(page)}\r\n\r\n"
        self._answer = head.encode() + page

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(self._answer)


@asynccontextmanager
async def answering(page: bytes) -> AsyncIterator[None]:
    """Answer with the page at every address of the network namespace until the block ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answer(page), "0.0.0.0", names.METRICS_PORT, backlog=4096)  # noqa: S104
    try:
        yield
    finally:
        server.close()
