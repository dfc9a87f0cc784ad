"""Who may read the metrics: a bearer token that the API server knows, of one whom RBAC permits to get /metrics.

TokenReview says whose token it is, SubjectAccessReview whether they may. A verdict holds for a minute, so that a
right taken away ends soon; how many reviews run at once is bounded, so that a flood of tokens is no load elsewhere.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.kube import Kube
from slipstream_operator.errors import ClusterError

_log = logging.getLogger(__name__)

PATH = "/metrics"
FRESH_SECONDS = 60.0
REFUSED_SECONDS = 10.0
REVIEW_SECONDS = 5.0
MAX_TOKEN_BYTES = 8192
MAX_REVIEWS = 8
REMEMBERED = 1024

Verdict = tuple[HTTPStatus, str]
"""What to answer, and in words why; OK lets the page through."""

NO_TOKEN = (HTTPStatus.UNAUTHORIZED, "send Authorization: Bearer TOKEN, a service account's token of this cluster")
UNKNOWN = (HTTPStatus.UNAUTHORIZED, "the API server does not know this token; it may have expired")
NOT_NOW = (HTTPStatus.SERVICE_UNAVAILABLE, "who asks cannot be checked now; retry")
PERMITTED = (HTTPStatus.OK, "")


class Readers:
    """Judges who may read, and remembers it."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Verdict]] = OrderedDict()
        self._reviews = 0

    async def judge(self, authorization: str | None) -> Verdict:
        """Return the verdict on the bearer of an Authorization header."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_BYTES:
            return NO_TOKEN
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        until, verdict = self._known.get(digest, (float("-inf"), NOT_NOW))
        if self._clock() < until:
            return verdict
        verdict = await self._bounded(token)
        self._remember(digest, verdict)
        return verdict

    def _remember(self, digest: bytes, verdict: Verdict) -> None:
        if verdict == NOT_NOW:
            return
        seconds = FRESH_SECONDS if verdict == PERMITTED else REFUSED_SECONDS
        self._known[digest] = (self._clock() + seconds, verdict)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _bounded(self, token: str) -> Verdict:
        if self._reviews >= MAX_REVIEWS:
            return NOT_NOW
        self._reviews += 1
        try:
            async with asyncio.timeout(REVIEW_SECONDS):
                return await self._review(token)
        except (ClusterError, TimeoutError) as error:
            _log.warning("who reads the metrics cannot be checked: %s", error or "the API server is slow")
            return NOT_NOW
        finally:
            self._reviews -= 1

    async def _review(self, token: str) -> Verdict:
        status = await self._ask(kinds.TOKEN_REVIEW, {"token": token})
        if not status.get("authenticated"):
            return UNKNOWN
        user = status["user"]
        who = {key: user[key] for key in ("uid", "groups", "extra") if key in user}
        wish = {"path": PATH, "verb": "get"}
        spec = {"user": user["username"], **who, "nonResourceAttributes": wish}
        if (await self._ask(kinds.ACCESS_REVIEW, spec)).get("allowed"):
            return PERMITTED
        name = user["username"][:200]
        return HTTPStatus.FORBIDDEN, f"{name} may not get {PATH}; bind it to a ClusterRole that allows this URL"

    async def _ask(self, kind: kinds.Kind, spec: dict[str, Any]) -> dict[str, Any]:
        document = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec}
        status: dict[str, Any] = (await self._kube.create(kind, document)).get("status", {})
        return status
