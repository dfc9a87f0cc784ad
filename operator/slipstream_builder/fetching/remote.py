"""Chooses, by scheme, what fetches a remote file and which credentials go with it."""

import base64
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from slipstream_builder.fetching import addresses, hub, stores, web
from slipstream_builder.fetching.credentials import Secret
from slipstream_builder.fetching.surroundings import Surroundings
from slipstream_builder.fetching.transfer import Limits, Sink

Attempt = Callable[[float], None]
"""Reads the file from where the sink stands, within so many seconds."""

Opener = Callable[[str, Secret | None, Sink, Limits, Surroundings], Attempt]


def opener(scheme: str) -> Opener:
    """Return what makes the attempts for addresses of `scheme`."""
    return _OPENERS[scheme]


def _web(uri: str, secret: Secret | None, sink: Sink, limits: Limits, here: Surroundings) -> Attempt:
    authorities = secret.plain("ca.crt") if secret else None
    return web.Download(
        uri, sink, limits, here.lookup, _authorization(uri, secret), _denied(secret), authorities
    ).attempt


def _hub(uri: str, secret: Secret | None, sink: Sink, limits: Limits, here: Surroundings) -> Attempt:
    url = hub.url_of(addresses.hub_file_of(uri), here.environ)
    return web.Download(url, sink, limits, here.lookup, hub.authorization(secret), hub.DENIED).attempt


def _s3(uri: str, secret: Secret | None, sink: Sink, limits: Limits, here: Surroundings) -> Attempt:
    service = stores.s3(secret, here.environ)
    return stores.Download(service, addresses.object_of(uri), sink, limits, here.lookup).attempt


def _gs(uri: str, secret: Secret | None, sink: Sink, limits: Limits, here: Surroundings) -> Attempt:
    service = stores.gs(secret, here.environ)
    return stores.Download(service, addresses.object_of(uri), sink, limits, here.lookup).attempt


_OPENERS: dict[str, Opener] = {"http": _web, "https": _web, "hf": _hub, "s3": _s3, "gs": _gs}


def _authorization(uri: str, secret: Secret | None) -> str | None:
    """Return the header for a web server: from the secret if there is one, else from the address."""
    if secret is not None:
        if (user := secret.plain("username")) is not None:
            return _basic(user, secret.need("password"))
        if secret.has("ca.crt") and not secret.has("token", "bearerToken"):
            return None
        return f"Bearer {secret.need('token', 'bearerToken')}"
    parts = urlsplit(uri)
    return _basic(unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _denied(secret: Secret | None) -> str:
    if secret is None:
        return "name a secret with the key token, or username and password"
    return f"check the keys in secret {secret.name}, and that they may read it"
