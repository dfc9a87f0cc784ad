"""Speaks plain JSON with an API server over kept connections, for the many calls of many lives at once."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp

from slipstream_testing.api import ApiError, Json

_LINE_BYTES = 1 << 24
"""An event of a watch is one line, whatever the size of its object."""

_CONTENT = {"PATCH": "application/merge-patch+json"}


class Wire:
    """An administrator's connections; `async with` opens and closes them."""

    def __init__(self, url: str, token: str, certificate_authority: Path) -> None:
        """Remember where and who; nothing is open yet."""
        self.url = url
        self._token = token
        self._authority = certificate_authority
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open."""
        self._session = self.new_session()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        if self._session is not None:
            await self._session.close()

    def new_session(self) -> aiohttp.ClientSession:
        """Return connections of their own to the API server, which send no credentials by themselves."""
        context = ssl.create_default_context(cafile=str(self._authority))
        connector = aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=_LINE_BYTES)

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = "", **query: str
    ) -> Json:
        """Do one call and return the answer.

        Raises:
            ApiError: the API server refused.
        """
        headers = self._headers(content or _CONTENT.get(method, "application/json"))
        data = None if body is None else json.dumps(body)
        async with self._open().request(
            method, f"{self.url}{path}", data=data, params=query, headers=headers
        ) as response:
            answer: Json = json.loads(await response.read())
        if response.status >= 400:
            raise ApiError(response.status, answer.get("reason", ""), answer.get("message", ""))
        return answer

    async def apply(self, path: str, manifest: Mapping[str, Any]) -> Json:
        """Create or update by server-side apply."""
        query = {"fieldManager": "slipstream-testing", "force": "true"}
        return await self.call("PATCH", path, manifest, "application/apply-patch+yaml", **query)

    async def events(self, path: str, version: str) -> AsyncIterator[Json]:
        """Give the events of a collection after the `version` until the API server ends the watch."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with self._open().get(f"{self.url}{path}", params=query, headers=self._headers("")) as response:
            async for line in response.content:
                yield json.loads(line)

    def _headers(self, content: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", **({"Content-Type": content} if content else {})}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the connections are not open; use `async with`")
        return self._session
