"""Speaks to the API server: few verbs, every call bounded in time, every failure a ClusterError in words.

`Kube` is the seam that the rest of the operator is written against.
"""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from slipstream_contract import names
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.errors import ClusterError, MachineError

Document = dict[str, Any]

TIMEOUT_SECONDS = 15.0
PAGE = 100
"""Objects of one answer: parsing more at once would make all else wait, and is the most memory that a list takes."""

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 75.0
"""A watch that says nothing for so long is dead: the API server sends a bookmark each minute."""

LONGEST_LINE = 4 << 20
"""Bytes of one event; etcd takes objects of up to 1.5 MiB."""

NOT_FOUND = 404
CONFLICT = 409


class Kube(Protocol):
    """What the operator asks of an API server; `namespace` None means all namespaces."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, fresh: bool = False
    ) -> list[Document]:
        """Return the objects that carry the labels, with `fresh` as they are now even where copies are kept."""

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create the object, in the cluster if it names no namespace; a namesake is a ClusterError of status 409."""

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Create or update by server-side apply, as the owner of the fields in `document`."""

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document, subresource: str = "") -> Document:
        """Apply a JSON merge patch."""

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Replace the object, if it is still of the `resourceVersion` in `document`."""

    async def delete(self, kind: Kind, document: Document) -> None:
        """Delete this very object and what depends on it; one that is gone already is fine."""


class ListingKube(Kube, Protocol):
    """What keeping copies takes besides."""

    def pages(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Document]:
        """Return the pages of a list; the last one's `resourceVersion` is what a watch may begin from."""

    def watch(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str], version: str, seconds: float
    ) -> AsyncGenerator[Document]:
        """Return the events from `version` on, for at most so many seconds."""


class KubeClient:
    """`Kube` over HTTP, with the official client's credentials and connections."""

    def __init__(self, client: ApiClient) -> None:
        self._client: Any = client  # the library is typed in part only

    @classmethod
    async def connect(cls) -> Self:
        """Return a client with the credentials of `$KUBECONFIG`, of `~/.kube/config` or of this pod.

        Raises:
            MachineError: there are none, or they cannot be read.
        """
        configuration = Configuration()
        configuration.connection_pool_maxsize = 0  # each watch holds a connection, and the queue bounds the rest
        try:
            if os.environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").exists():
                await load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise MachineError(
                f"no credentials for a cluster ({error}); set KUBECONFIG, or run inside a pod"
            ) from error
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""
        try:
            return await self._call("GET", kind.path(namespace, name))
        except ClusterError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None, fresh: bool = False
    ) -> list[Document]:
        """Return the objects that carry the labels, always as they are now."""
        async with aclosing(self.pages(kind, namespace, labels)) as pages:
            return [document async for page in pages for document in page["items"]]

    async def pages(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Document]:
        """Return the pages of a list; the last one's `resourceVersion` is what a watch may begin from."""
        query = {"limit": str(PAGE), **_selecting(labels)}
        while True:
            page = await self._call("GET", kind.path(namespace), query)
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def watch(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str], version: str, seconds: float
    ) -> AsyncGenerator[Document]:
        """Return the events from `version` on, for at most so many seconds."""
        whole = max(1, round(seconds))
        asked = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(whole)}
        call = f"watch of {kind.path(namespace)}"
        limits = aiohttp.ClientTimeout(whole + TIMEOUT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            response = await self._send("GET", kind.path(namespace), {**asked, **_selecting(labels)}, limits=limits)
            try:
                if response.status >= 400:
                    _answer(call, response.status, await response.read())
                async for line in _lines(response.response.content):
                    yield _answer(call, response.status, line)
            finally:
                response.response.close()
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            raise ClusterError(f"{call}: it broke off ({str(error) or type(error).__name__})") from error

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create the object."""
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call("POST", kind.path(document["metadata"].get("namespace")), query, document)

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Create or update by server-side apply."""
        metadata = document["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": names.FIELD_MANAGER, "force": "true"}
        return await self._call("PATCH", path, query, document, "application/apply-patch+yaml")

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document, subresource: str = "") -> Document:
        """Apply a JSON merge patch."""
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call(
            "PATCH", kind.path(namespace, name, subresource), query, change, "application/merge-patch+json"
        )

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Replace the object, if it is still of the given `resourceVersion`."""
        metadata = document["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._call("PUT", path, {"fieldManager": names.FIELD_MANAGER}, document)

    async def delete(self, kind: Kind, document: Document) -> None:
        """Delete this very object and what depends on it."""
        metadata = document["metadata"]
        body = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._call("DELETE", kind.path(metadata["namespace"], metadata["name"]), {}, body)
        except ClusterError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        content: str = "application/json",
    ) -> Document:
        try:
            response = await self._send(method, path, query, body, content)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            words = str(error) or type(error).__name__
            raise ClusterError(f"{method} {path}: the API server did not answer ({words})") from error
        return _answer(f"{method} {path}", response.status, text)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        content: str = "application/json",
        limits: float | aiohttp.ClientTimeout = TIMEOUT_SECONDS,
    ) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content}
        request = await self._client.param_serialize(
            method, path, {}, list((query or {}).items()), headers, body, auth_settings=["BearerToken"]
        )
        return await self._client.call_api(*request, _request_timeout=limits)


def _selecting(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Return the lines; what comes after the last line feed was cut off and is none."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in filter(None, lines):
            yield line
        if len(rest) > LONGEST_LINE:
            raise ClusterError(f"a watch sent a line of more than {LONGEST_LINE} bytes")


def _answer(call: str, status: int, text: bytes) -> Document:
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise ClusterError(f"{call}: status {status}, and not JSON: {text[:200]!r}", status) from error
    if status >= 400 or not isinstance(document, dict):
        words = document.get("message", "") if isinstance(document, dict) else ""
        raise ClusterError(f"{call}: {words or f'status {status}'}", status)
    return document
