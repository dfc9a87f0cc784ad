"""Speak plain JSON with an API server, using only the standard library, so that tests see what is on the wire."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Json = dict[str, Any]

_TIMEOUT_SECONDS = 30


class ApiError(Exception):
    """The API server refused; `status` is the HTTP code, `reason` Kubernetes' own word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Api:
    """One identity at one API server; paths are those of the REST API, such as /api/v1/namespaces/default/pods."""

    url: str
    token: str
    certificate_authority: Path

    def get(self, path: str, **query: str) -> Json:
        """Read an object or a list."""
        return self._json("GET", path, query)

    def create(self, path: str, manifest: Mapping[str, Any], **query: str) -> Json:
        """Post an object to its collection, or a body to a subresource."""
        return self._json("POST", path, query, manifest)

    def merge(self, path: str, change: Mapping[str, Any], **query: str) -> Json:
        """Apply a JSON merge patch: lists are replaced, null removes."""
        return self._json("PATCH", path, query, change, "application/merge-patch+json")

    def apply(self, path: str, manifest: Mapping[str, Any]) -> Json:
        """Create or update by server-side apply."""
        query = {"fieldManager": "slipstream-testing", "force": "true"}
        return self._json("PATCH", path, query, manifest, "application/apply-patch+yaml")

    def delete(self, path: str, **query: str) -> Json:
        """Delete an object; `gracePeriodSeconds` and `propagationPolicy` are query parameters."""
        return self._json("DELETE", path, query)

    def exists(self, path: str) -> bool:
        """Whether the object is there."""
        try:
            self.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def text(self, path: str) -> str:
        """Read a page that is not JSON, such as /readyz."""
        return self._send("GET", path, None, {}).decode()

    def _json(
        self, method: str, path: str, query: Mapping[str, str], body: object = None, content: str = "application/json"
    ) -> Json:
        target = f"{path}?{urlencode(query)}" if query else path
        answer: Json = json.loads(self._send(method, target, body, {"Content-Type": content}))
        return answer

    def _send(self, method: str, target: str, body: object, headers: Mapping[str, str]) -> bytes:
        context = ssl.create_default_context(cafile=self.certificate_authority)
        connection = HTTPSConnection(urlsplit(self.url).netloc, timeout=_TIMEOUT_SECONDS, context=context)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, target, payload, {"Authorization": f"Bearer {self.token}", **headers})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise _error(response.status, answer)
        return answer


def _error(status: int, body: bytes) -> ApiError:
    try:
        answer = json.loads(body)
    except ValueError:
        return ApiError(status, "", body.decode(errors="replace"))
    return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
