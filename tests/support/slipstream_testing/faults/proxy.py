"""A proxy between one operator and the API server that counts calls and strikes at the one it was told."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import aiohttp
from aiohttp import web

from slipstream_testing.faults.answers import HOLD_SECONDS, SLOW_SECONDS, Answer, bent, refusal
from slipstream_testing.faults.strikes import REFUSALS, STALE_LISTS, Strike
from slipstream_testing.faults.wire import Wire

_DROPPED = frozenset({"host", "accept-encoding", "connection", "content-length", "transfer-encoding"})


class FaultProxy:
    """Carries one operator's calls; `arm` begins a stage, whose calls are counted from 1, and says where to strike.

    `calls` and `events` count since then, `after` the calls since the fault was over, which it was at `ended_at`
    (None: it has not struck, or not yet ended); `wrote_at` is when the operator last changed anything.
    """

    def __init__(self, wire: Wire, kill: Callable[[], Awaitable[None]]) -> None:
        """Listen once entered; `kill` ends the operator and starts another one."""
        self._wire = wire
        self._kill = kill
        self._session = wire.new_session()
        self._runner: web.ServerRunner | None = None
        self._last: dict[str, Answer] = {}
        self._before: dict[str, Answer] = {}
        self._strike: Strike | None = None
        self._left = 0
        self.url = ""
        self.calls = self.events = self.after = 0
        self.struck = False
        self.ended_at: float | None = None
        self.wrote_at = time.monotonic()
        self.log: list[str] = []

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._runner = web.ServerRunner(web.Server(self._serve, handler_cancellation=True), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._session.close()

    def arm(self, strike: Strike | None) -> None:
        """Begin a stage; its stale lists show the end of the stage before, or where that asked less, its beginning."""
        self._before = dict(self._last)
        self._strike, self._left = strike, strike.times if strike else 0
        if strike is not None and strike.fault == "stale":
            self._left *= STALE_LISTS
        self.calls = self.events = self.after = 0
        self.struck, self.ended_at = False, None
        self.log = []

    @property
    def hit(self) -> str:
        """The call or event that was struck first."""
        return next((line for line in self.log if line.startswith("! ")), "")

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.calls += 1
        self.after += self.ended_at is not None
        watches = request.query.get("watch") in ("1", "true")
        strike = self._due(request, watches)
        if len(self.log) < 2000:
            self.log.append(f"{'! ' + strike.fault + ': ' if strike else ''}{request.method} {request.rel_url}")
        body = await request.read()
        try:
            if strike is not None:
                return await self._struck(request, body, strike, watches)
            return await (self._watch(request) if watches else self._carry(request, body))
        except aiohttp.ClientError:
            return _broken(request)

    def _due(self, request: web.BaseRequest, watches: bool) -> Strike | None:
        """Return the strike if this call is to be struck: the one of its number, or the next that it can happen to."""
        strike = self._strike
        if strike is None or strike.on_events or not self._left or self.calls < strike.at:
            return None
        if strike.fault == "stale" and (watches or not _lists(request) or str(request.rel_url) not in self._before):
            return None
        self._left -= 1
        self.struck = True
        return strike

    async def _struck(self, request: web.BaseRequest, body: bytes, strike: Strike, watches: bool) -> web.StreamResponse:
        try:
            if strike.fault == "stale":
                return self._before[str(request.rel_url)].response()
            committed = await self._forward(request, body) if strike.commits and not watches else None
            if strike.kills:
                await self._kill()
            return await self._misbehave(request, body, strike.fault, committed, watches)
        finally:
            if not self._left:
                self.ended_at = time.monotonic()

    async def _misbehave(
        self, request: web.BaseRequest, body: bytes, fault: str, committed: Answer | None, watches: bool
    ) -> web.StreamResponse:
        if (status := fault.split(maxsplit=1)[0]) in REFUSALS:
            return refusal(status)
        if fault.startswith("time-out"):
            await asyncio.sleep(HOLD_SECONDS if watches else 3600.0)  # ends when the operator hangs up
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
            return await (self._watch(request) if watches else self._carry(request, body))
        if fault == "truncated" and committed is not None:
            return await self._truncate(request, committed)
        return _broken(request)

    async def _truncate(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content})
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        return _broken(request)

    async def _carry(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        answer = await self._forward(request, body)
        return answer.response()

    async def _forward(self, request: web.BaseRequest, body: bytes) -> Answer:
        async with self._session.request(
            request.method, f"{self._wire.url}{request.raw_path}", data=body or None, headers=_headers(request)
        ) as response:
            answer = Answer(response.status, response.content_type, await response.read())
        if _lists(request):
            self._before.setdefault(str(request.rel_url), answer)
            self._last[str(request.rel_url)] = answer
        elif request.method != "GET" and "/leases" not in request.path and answer.status < 300:
            self.wrote_at = time.monotonic()
        return answer

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self._session.get(f"{self._wire.url}{request.raw_path}", headers=_headers(request)) as upstream:
            response = web.StreamResponse(status=upstream.status, headers={"Content-Type": upstream.content_type})
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                async for piece in self._bent(aiter(upstream.content)):
                    if piece is None:
                        return _broken(request)
                    await response.write(piece)
            return response

    async def _bent(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
        """Give the lines of a watch, with the strike where its event comes; None breaks the connection."""
        async for line in lines:
            self.events += 1
            strike = self._strike
            if strike is None or not strike.on_events or not self._left or self.events < strike.at:
                yield line
                continue
            self._left, self.struck = 0, True
            self.log.append(f"! {strike.fault}: {line[:80]!r}")
            piece, ending = await bent(strike.fault, line, lines)
            self.ended_at = time.monotonic()
            yield piece
            if ending == "breaks":
                yield None
            if ending != "goes on":
                return


def _lists(request: web.BaseRequest) -> bool:
    """Return whether it asks for many objects: an old list may be shown, but single objects are read by a quorum."""
    return request.method == "GET" and "limit" in request.query


def _headers(request: web.BaseRequest) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}


def _broken(request: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection: the client sees neither an answer nor an orderly end."""
    transport = request.transport
    if transport is not None:
        line = transport.get_extra_info("socket")
        if line is not None:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
