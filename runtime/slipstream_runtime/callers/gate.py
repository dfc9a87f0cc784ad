"""What every way of telling callers apart looks like to the transports.

The transports ask the gate for every request on the inference ports (HTTP and gRPC) except health: `/v2/health/*` and
gRPC's ServerLive, ServerReady and ModelReady stay open, as do the probes and metrics on their own port. Everything
else, the pages and the metadata included, needs a caller.
"""

from dataclasses import dataclass
from typing import Protocol

from slipstream_runtime.errors import AuthenticationError

MAX_AUTHORIZATION_BYTES = 8192
"""Longer than any token of Kubernetes; what is longer is refused unread."""

AUDIENCE = "slipstream.dev"
"""The audience of Kubernetes tokens for inference; those meant for the API server itself are refused."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request; `tenant` keeps callers apart, in the cache above all, and is never shown to anyone."""

    tenant: bytes


ANONYMOUS = Caller(b"anonymous")


class Gate(Protocol):
    """Tells who calls by the Authorization header of HTTP, or the `authorization` metadata of gRPC."""

    def known(self, authorization: bytes | None) -> Caller | None:
        """Return the caller if that can be told at once, the hot path; None means: await `review`."""
        ...

    async def review(self, authorization: bytes | None) -> Caller:
        """Return the caller.

        Raises:
            AuthenticationError: there is no token, or nobody knows it.
            ForbiddenError: the caller may not use this model.
            UnavailableError: who knows it cannot be asked now.
        """
        ...

    def start(self) -> None:
        """Begin what goes on in the background, on the running loop."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class OpenGate:
    """Lets everyone in, as one caller: `--authentication none`."""

    def known(self, authorization: bytes | None) -> Caller | None:
        """Return the anonymous caller."""
        return ANONYMOUS

    async def review(self, authorization: bytes | None) -> Caller:
        """Return the anonymous caller."""
        return ANONYMOUS

    def start(self) -> None:
        """Nothing goes on in the background."""

    async def close(self) -> None:
        """Nothing goes on in the background."""


def bearer_token(authorization: bytes | None) -> bytes:
    """Return the token of an Authorization header of the form `Bearer TOKEN` (RFC 6750).

    Raises:
        AuthenticationError: it has another form, or there is none.
    """
    if authorization is None:
        raise AuthenticationError("Authorization: missing; send Authorization: Bearer TOKEN")
    scheme, _, token = authorization[: MAX_AUTHORIZATION_BYTES + 1].partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token or len(authorization) > MAX_AUTHORIZATION_BYTES:
        raise AuthenticationError("Authorization: not a bearer token; send Authorization: Bearer TOKEN")
    return token
