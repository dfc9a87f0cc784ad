"""Fetches objects from S3 and Google Cloud Storage, signed with a secret's or the environment's keys, or unsigned.

obstore is used directly: its fsspec layer can neither stream nor ask for the very version that a resumed read began
with (If-Match). A machine's metadata service is never asked: without keys, requests are unsigned.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import GCSStore, S3Store

from slipstream_builder.fetching import egress, guard, store_errors, web
from slipstream_builder.fetching.addresses import Object
from slipstream_builder.fetching.credentials import Secret
from slipstream_builder.fetching.transfer import CHUNK, BrokenOffError, Limits, Sink, TransferError

Store = S3Store | GCSStore

_GS_ENDPOINT = "https://storage.googleapis.com"
_GS_KEYS = ("GOOGLE_APPLICATION_CREDENTIALS", "key.json", "gcloud-application-credentials.json", "serviceaccount")
_ACCESS_KEYS = ("AWS_ACCESS_KEY_ID", "accesskey", "accessKey")
_SECRET_KEYS = ("AWS_SECRET_ACCESS_KEY", "secretkey", "secretKey")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class Service:
    """How to reach a store: its endpoint, obstore's settings for it, and what to do where access is denied."""

    kind: type[Store]
    endpoint: str
    settings: dict[str, Any] = field(repr=False)
    denied: str
    authorities: str | None = None


def s3(secret: Secret | None, environ: Mapping[str, str]) -> Service:
    """Return the S3 service that `secret` opens, or without one the environment's.

    Raises:
        TransferError: the secret lacks a key, or the endpoint is no web address.
    """
    region = _first(secret, environ, _REGIONS) or "us-east-1"
    endpoint = _endpoint(_first(secret, environ, _ENDPOINTS) or f"https://s3.{region}.amazonaws.com")
    settings: dict[str, Any] = {"endpoint": endpoint, "region": region}
    keys = _s3_keys(secret, environ)
    settings |= {"skip_signature": True} if keys is None else {"credential_provider": lambda: keys}
    return Service(S3Store, endpoint, settings, _denied(secret, keys is not None, "AWS_ACCESS_KEY_ID"), _ca(secret))


def gs(secret: Secret | None, environ: Mapping[str, str]) -> Service:
    """Return the Google Cloud Storage that `secret` opens, or without one the environment's.

    Raises:
        TransferError: the secret lacks the service account's JSON, or the endpoint is no web address.
    """
    endpoint = _endpoint(environ.get("STORAGE_EMULATOR_HOST") or _GS_ENDPOINT)
    if secret is not None:
        secret.need(*_GS_KEYS)
        file = str(secret.path(secret.has(*_GS_KEYS) or ""))
    else:
        file = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
        if file and not Path(file).is_file():
            raise TransferError("GOOGLE_APPLICATION_CREDENTIALS names no file; correct it, or unset it")
    settings: dict[str, Any] = {"base_url": endpoint}
    settings |= {"application_credentials": file} if file else {"skip_signature": True}
    return Service(GCSStore, endpoint, settings, _denied(secret, bool(file), _GS_KEYS[0]), _ca(secret))


@dataclass
class Download:
    """One object, over as many attempts as it takes."""

    service: Service
    target: Object
    sink: Sink
    limits: Limits
    lookup: guard.Lookup
    _tag: str | None = field(default=None, init=False)

    def attempt(self, seconds: float) -> None:
        """Read the object, from where the sink stands, within `seconds`.

        Raises:
            TransferError, BrokenOffError: see there.
        """
        with self._way_out() as proxy:
            try:
                store = self._open(seconds, proxy)
            except (BaseError, ValueError) as error:
                raise TransferError(store_errors.UNFIT) from error
            try:
                self._read(store)
            except (BaseError, OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's, not the store's
                raise self._explained(error, proxy) from error

    @contextlib.contextmanager
    def _way_out(self) -> Iterator[egress.Proxy | None]:
        """Give the proxy to use, or None where the environment names one of its own."""
        parts = urlsplit(self.service.endpoint)
        host = parts.hostname or ""
        try:
            guard.refuse_literal(host)
            behind_proxy = web.proxy_for(parts.scheme, host) is not None
            if behind_proxy:
                guard.refuse_known(host, parts.port or 0, self.lookup)
        except guard.RefusedAddressError as error:
            raise TransferError(str(error)) from error
        if behind_proxy:
            yield None
            return
        with egress.guarded(self.lookup) as proxy:
            yield proxy

    def _explained(self, error: Exception, proxy: egress.Proxy | None) -> Exception:
        if proxy is not None and proxy.refusal:
            return TransferError(proxy.refusal)
        if proxy is not None and proxy.failure:
            return BrokenOffError(proxy.failure)
        if isinstance(error, PreconditionError):
            self.sink.restart()
        return store_errors.explained(error, self.service.endpoint, self.service.denied)

    def _open(self, seconds: float, proxy: egress.Proxy | None) -> Store:
        options: Any = {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=self.limits.connect_seconds),
            "read_timeout": timedelta(seconds=self.limits.read_seconds),
            "timeout": timedelta(seconds=seconds),
            "pool_max_idle_per_host": "0",
        }
        if proxy is not None:
            options["proxy_url"] = proxy.url
        if self.service.authorities is not None:
            options["root_certificate"] = self.service.authorities
        return self.service.kind(
            self.target.bucket,
            client_options=options,
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)},
            **self.service.settings,
        )

    def _read(self, store: Store) -> None:
        if self.sink.size and self._tag is None:
            self.sink.restart()
        options: Any = {}
        if self.sink.size:
            options = {"range": {"offset": self.sink.size}, "if_match": self._tag}
        result = obstore.get(store, self.target.key, options=options)
        self._tag = result.meta["e_tag"]
        self.sink.declare(result.meta["size"])
        for chunk in result.stream(min_chunk_size=CHUNK):
            self.sink.write(memoryview(chunk))
        if self.sink.size != self.sink.total:
            raise BrokenOffError(f"the object ended early, after {self.sink.size} bytes of {self.sink.total}")


def _s3_keys(secret: Secret | None, environ: Mapping[str, str]) -> dict[str, Any] | None:
    if secret is not None and secret.has(*_ACCESS_KEYS, *_SECRET_KEYS):
        access, private = secret.need(*_ACCESS_KEYS), secret.need(*_SECRET_KEYS)
        token = secret.get("AWS_SESSION_TOKEN")
    elif secret is not None and not secret.has(*_ENDPOINTS, *_REGIONS, "ca.crt"):
        secret.need(*_ACCESS_KEYS)
        return None
    elif secret is None and environ.get(_ACCESS_KEYS[0]):
        access, private = environ[_ACCESS_KEYS[0]], environ.get(_SECRET_KEYS[0], "")
        token = environ.get("AWS_SESSION_TOKEN")
    else:
        return None
    if not private:
        raise TransferError("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY; set both, or neither")
    return {"access_key_id": access, "secret_access_key": private, "token": token or None, "expires_at": None}


def _first(secret: Secret | None, environ: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    """Return the first of `keys` in the secret, else in the environment; only for what is not secret."""
    found = secret.plain(*keys) if secret else None
    return found or next((environ[key] for key in keys if environ.get(key)), None)


def _endpoint(text: str) -> str:
    address = text if "://" in text else f"http://{text}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise TransferError("the endpoint is no web address; write https://HOST[:PORT]")
    return address.rstrip("/")


def _ca(secret: Secret | None) -> str | None:
    return secret.plain("ca.crt") if secret else None


def _denied(secret: Secret | None, signed: bool, key: str) -> str:
    if secret is not None and signed:
        return f"check the keys in secret {secret.name}, and that they may read this bucket"
    if signed:
        return "check the keys in the environment, and that they may read this bucket"
    return f"it is not public: give a secret with {key} (or set it in the environment)"
