"""Fetches over http and https: redirects followed by hand, addresses checked and pinned, broken bodies resumed.

aiohttp opens the connections and parses the answers; fsspec's own http file system uses it too, but checks no
address, follows any redirect, and reads a changed file as if it were the same.
"""

import asyncio
import re
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from slipstream_builder.fetching import guard
from slipstream_builder.fetching.addresses import redacted
from slipstream_builder.fetching.transfer import CHUNK, BrokenOffError, Limits, Sink, TransferError, reason

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_REDIRECTS = 10
_LONGEST_WAIT = 60.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class _Resolver(AbstractResolver):
    """Gives aiohttp the addresses that were checked; it connects to these very ones."""

    def __init__(self, lookup: guard.Lookup) -> None:
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(None, guard.checked, host, port, self._lookup)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""


@dataclass
class Download:
    """One file on the web, over as many attempts as it takes; `authorization` goes to its own origin only.

    `denied` says what to do where the server wants other credentials; `authorities` are more PEM certificates to trust.
    """

    url: str
    sink: Sink
    limits: Limits
    lookup: guard.Lookup
    authorization: str | None = None
    denied: str = "give a secret that may read it"
    authorities: str | None = None
    _validator: str | None = field(default=None, init=False)

    def attempt(self, seconds: float) -> None:
        """Read the file, from where the sink stands, within `seconds`.

        Raises:
            TransferError, BrokenOffError: see there.
        """
        try:
            asyncio.run(self._attempt(seconds))
        except guard.RefusedAddressError as error:
            raise TransferError(str(error)) from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise TransferError(
                "the server's certificate is not trusted; put its authority into the secret as ca.crt"
            ) from error
        except TimeoutError as error:
            raise BrokenOffError(f"the server was silent for {self.limits.read_seconds:g} s, or too slow") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise BrokenOffError(f"the name {error.host} does not resolve") from error
        except aiohttp.ClientConnectorError as error:
            raise BrokenOffError(f"no connection to {error.host}: {reason(error)}") from error
        except aiohttp.ClientPayloadError as error:
            raise BrokenOffError(f"the body ended early, after {self.sink.size} bytes{self._of_total()}") from error
        except aiohttp.InvalidURL as error:
            raise TransferError("this is no web address; write https://HOST/PATH") from error
        except aiohttp.ClientResponseError as error:
            raise TransferError("the server's answer is no valid HTTP; check the address") from error
        except aiohttp.ClientError as error:
            raise BrokenOffError("the server closed the connection") from error

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.authorities is not None:
            try:
                context.load_verify_locations(cadata=self.authorities)
            except ssl.SSLError as error:
                raise TransferError("ca.crt in the secret holds no PEM certificates; set it again") from error
        return context

    async def _attempt(self, seconds: float) -> None:
        limits = self.limits
        timeout = aiohttp.ClientTimeout(
            total=seconds, sock_connect=limits.connect_seconds, sock_read=limits.read_seconds
        )
        connector = aiohttp.TCPConnector(resolver=_Resolver(self.lookup), use_dns_cache=False, force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            await self._answer(session) as response,
        ):
            self._begin(response)
            async for chunk in response.content.iter_chunked(CHUNK):
                self.sink.write(chunk)
        if self.sink.total is not None and self.sink.size != self.sink.total:
            raise BrokenOffError(f"the body ended early, after {self.sink.size} bytes{self._of_total()}")

    async def _answer(self, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
        """Return the first answer that is no redirect."""
        url, seen = _parsed(self.url), set[URL]()
        while True:
            seen.add(url)
            host, proxy = url.host or "", proxy_for(url.scheme, url.host or "")
            guard.refuse_literal(host)
            if proxy is not None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, guard.refuse_known, host, url.port or 0, self.lookup)
            trust = self._trust if url.scheme == "https" else True
            headers = self._headers(url)
            response = await session.get(url, allow_redirects=False, headers=headers, proxy=proxy, ssl=trust)
            if response.status not in _REDIRECTS:
                return response
            async with response:
                target = _target(url, response.headers)
            if target in seen:
                raise TransferError("it redirects in a loop; correct the address, or the server")
            if len(seen) > _MOST_REDIRECTS:
                raise TransferError(f"it redirects more than {_MOST_REDIRECTS} times; give the last address")
            url = target

    def _headers(self, url: URL) -> dict[str, str]:
        # A compressed body would have another size and digest than the file.
        headers = {"Accept-Encoding": "identity", "User-Agent": "slipstream-builder"}
        if self.authorization is not None and url.origin() == _parsed(self.url).origin():
            headers["Authorization"] = self.authorization
        if self.sink.size and self._validator is None:
            self.sink.restart()
        if self.sink.size and self._validator is not None:
            headers |= {"Range": f"bytes={self.sink.size}-", "If-Range": self._validator}
        return headers

    def _begin(self, response: aiohttp.ClientResponse) -> None:
        """Put the sink where the answer's body starts, or refuse the answer."""
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise TransferError(f"the server sends it compressed ({encoding[:20]!r}) unasked; serve the file as it is")
        if response.status == HTTPStatus.OK:
            self.sink.restart()
            self._validator = _validator(response.headers)
            self.sink.declare(response.content_length)
        elif response.status == HTTPStatus.PARTIAL_CONTENT and self.sink.size:
            self._continue(response.headers)
        else:
            self._refuse(response)

    def _continue(self, headers: Mapping[str, str]) -> None:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        same = _validator(headers) in (None, self._validator)
        total = int(found[3]) if found and found[3] != "*" else self.sink.total
        if not found or int(found[1]) != self.sink.size or not same or total != self.sink.total:
            self.sink.restart()
            raise BrokenOffError("the file changed while it was read, or the server sent another part of it")

    def _refuse(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status in (401, 403, 407):
            raise TransferError(f"access denied (HTTP {status}); {self.denied}")
        if status in (404, 410):
            raise TransferError(f"no such file (HTTP {status}); check the address")
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self.sink.size:
            self.sink.restart()
            raise BrokenOffError("the file became shorter while it was read")
        if status in _TRANSIENT:
            wait = response.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else 0.0
            raise BrokenOffError(f"the server answers HTTP {status}", min(seconds, _LONGEST_WAIT))
        raise TransferError(f"the server answers HTTP {status} in place of the file; check the address")

    def _of_total(self) -> str:
        return "" if self.sink.total is None else f" of {self.sink.total}"


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for `host` (HTTPS_PROXY, NO_PROXY and the like), if any."""
    return None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)


def _parsed(text: str) -> URL:
    """Return the URL without user and password, which go into a header for one origin only."""
    try:
        # What is written in ASCII is kept as it is: another spelling may not match a signature in the query.
        return _plain(URL(text, encoded=text.isascii()))
    except ValueError as error:
        raise TransferError("this is no web address; write https://HOST/PATH") from error


def _plain(url: URL) -> URL:
    """Return `url` without user, password and fragment, and with a host.

    Raises:
        ValueError: it has no host that can be read.
    """
    if not url.host:
        raise ValueError("no host")
    return url.with_user(None).with_fragment(None)


def _target(url: URL, headers: Mapping[str, str]) -> URL:
    location = headers.get("Location", "")
    try:
        target = url.join(URL(location, encoded=True))
        if not location or target.scheme not in ("http", "https"):
            kind = f"{target.scheme}:" if location else "nothing"
            raise TransferError(f"it redirects to {kind}, which is not followed; give the file's own web address")
        target = _plain(target)
    except ValueError as error:
        raise TransferError("it redirects to what is no address; correct the server") from error
    if url.scheme == "https" and target.scheme == "http":
        raise TransferError(
            f"it redirects from https to http ({redacted(str(target))}), where others could change it; use https"
        )
    return target


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range takes: a strong ETag, or the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
