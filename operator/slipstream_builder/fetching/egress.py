"""A proxy on loopback for libraries that resolve names themselves: it connects only to addresses that were checked.

obstore resolves, redirects and connects out of our sight. Given this as its proxy it does none of that unseen: https
comes as CONNECT and stays encrypted end to end, http as a request with an absolute address, and for both the name is
resolved here, once, checked, and connected to.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from slipstream_builder.fetching import guard
from slipstream_builder.fetching.transfer import reason

_HEAD_BYTES = 64 << 10
_PIECE = 256 << 10
_ENDINGS = (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)


class Proxy:
    """Serves connections at `url`; `refusal` and `failure` keep what a library's own error would not say."""

    def __init__(self, lookup: guard.Lookup) -> None:
        self._lookup = lookup
        self.url = ""
        self.refusal: str | None = None
        self.failure: str | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        with contextlib.suppress(*_ENDINGS):
            try:
                await self._carry(reader, writer)
            except guard.RefusedAddressError as error:
                self.refusal = str(error)
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *headers = head[:-4].decode("latin-1").split("\r\n")
        method, target, version = request.split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        host, port = parts.hostname or "", parts.port or (443 if tunnel else 80)
        try:
            far_reader, far_writer = await self._connect(host, port)
        except OSError as error:
            self.failure = f"no connection to {host}: {reason(error)}"
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            place = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            # One request per connection: the next one may be for another host.
            kept = [line for line in headers if not line.lower().startswith(("connection:", "proxy-"))]
            far_writer.write("\r\n".join([f"{method} {place} {version}", *kept, "Connection: close", "", ""]).encode())
        await _relay((reader, far_writer), (far_reader, writer))

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        # The library's own time-out bounds the wait for each of them.
        addresses = await loop.run_in_executor(None, guard.checked, host, port, self._lookup)
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(address, port)
        return await asyncio.open_connection(addresses[-1], port)


@contextlib.contextmanager
def guarded(lookup: guard.Lookup) -> Iterator[Proxy]:
    """Run the proxy in a thread; end it after the block."""
    proxy, loop = Proxy(lookup), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=_HEAD_BYTES))
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, name="egress", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy both ways until one of them ends."""
    tasks = [asyncio.create_task(_copy(reader, writer)) for reader, writer in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Nothing is awaited here: the end of the proxy may come now, and would leave the connections open.
        for task, (_, writer) in zip(tasks, ways, strict=True):
            task.cancel()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()


async def _end(server: asyncio.Server) -> None:
    server.close()
    await asyncio.sleep(0)  # a task that is cancelled before its first step would leave its connection open
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
