"""Speaks to the API server: few verbs, every call bounded in time, every failure a ClusterError in words.

`Kube` is the seam that the rest of the operator is written against.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from slipstream_contract import names
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.errors import ClusterError, MachineError

Document = dict[str, Any]

TIMEOUT_SECONDS = 15.0
PAGE = 500

NOT_FOUND = 404
CONFLICT = 409


class Kube(Protocol):
    """What the operator asks of an API server; `namespace` None means all namespaces."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""

    async def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Document]:
        """Return the objects that carry the labels."""

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create the object, in the cluster if it names no namespace; a namesake is a ClusterError of status 409."""

    async def apply(self, kind: Kind, document: Document, subresource: str = "") -> Document:
        """Create or update by server-side apply, as the owner of the fields in `document`."""

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document) -> Document:
        """Apply a JSON merge patch."""

    async def replace(self, kind: Kind, document: Document) -> Document:
        """Replace the object, if it is still of the `resourceVersion` in `document`."""

    async def delete(self, kind: Kind, document: Document) -> None:
        """Delete this very object and what depends on it; one that is gone already is fine."""


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

    async def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Document]:
        """Return the objects that carry the labels."""
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())
        items: list[Document] = []
        while True:
            page = await self._call("GET", kind.path(namespace), query)
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                return items
            query["continue"] = token

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

    async def merge(self, kind: Kind, namespace: str, name: str, change: Document) -> Document:
        """Apply a JSON merge patch."""
        query = {"fieldManager": names.FIELD_MANAGER}
        return await self._call("PATCH", kind.path(namespace, name), query, change, "application/merge-patch+json")

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
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            request = await self._client.param_serialize(
                method, path, {}, list((query or {}).items()), headers, body, auth_settings=["BearerToken"]
            )
            response = await self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            words = str(error) or type(error).__name__
            raise ClusterError(f"{method} {path}: the API server did not answer ({words})") from error
        return _answer(f"{method} {path}", response.status, text)


def _answer(call: str, status: int, text: bytes) -> Document:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ClusterError(f"{call}: status {status}, and not JSON: {text[:200]!r}", status) from error
    if status >= 400 or not isinstance(document, dict):
        words = document.get("message", "") if isinstance(document, dict) else ""
        raise ClusterError(f"{call}: {words or f'status {status}'}", status)
    return document
