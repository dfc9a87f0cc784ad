"""The few lines of ASGI that the infer path and the probes share."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from slipstream_runtime.errors import (
    AuthenticationError,
    BodyTooLargeError,
    OverloadedError,
    ServingError,
    UnavailableError,
)
from slipstream_runtime.protocol.encoding import JSON_TYPE, error_body

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

MAX_BODY_BYTES = 8 * 1024 * 1024
CLOSE: Header = (b"connection", b"close")
CHALLENGE: Header = (b"www-authenticate", b"Bearer")


class DisconnectedError(Exception):
    """The caller went away before its request was complete."""


async def read_body(headers: list[Header], receive: Receive) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLargeError: it is larger than the cap, as declared or as received.
        DisconnectedError: the caller has gone.
    """
    for name, value in headers:
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise _too_large()
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _capped(bytes(message["body"]))
    chunks: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        chunks.append(message["body"])
        size += len(message["body"])
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    raise DisconnectedError


async def respond(send: Send, code: int, body: bytes, content_type: bytes, extra: tuple[Header, ...] = ()) -> None:
    """Send one whole answer."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_error(send: Send, error: ServingError) -> None:
    """Send the protocol's error form."""
    extra: tuple[Header, ...] = ()
    if isinstance(error, OverloadedError | UnavailableError):
        extra = ((b"retry-after", b"%d" % error.retry_after),)
    elif isinstance(error, AuthenticationError):
        extra = (CHALLENGE,)
    elif isinstance(error, BodyTooLargeError):
        extra = (CLOSE,)  # the rest of the body is never read
    await respond(send, error.code, error_body(str(error)), JSON_TYPE, extra)


def _capped(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    return body


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"body: larger than {MAX_BODY_BYTES} bytes; send fewer rows a request")
