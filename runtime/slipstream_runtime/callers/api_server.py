"""Asks the Kubernetes API server whose a token is, and whether they may use this model."""

import logging
import os
import ssl
from pathlib import Path
from typing import Any

import aiohttp

from slipstream_contract import names
from slipstream_runtime.callers.gate import AUDIENCE
from slipstream_runtime.errors import AuthenticationError, ForbiddenError, StartError, UnavailableError

logger = logging.getLogger(__name__)

ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SUBRESOURCE = "infer"
VERB = "create"

ASK_SECONDS = 3.0

RIGHT = "the replica's service account may not review tokens; bind it to the ClusterRole system:auth-delegator"


class ApiServer:
    """The API server as this pod's service account sees it."""

    def __init__(self, model: str, url: str = "", folder: Path = ACCOUNT_FOLDER) -> None:
        """Read what the kubelet mounts.

        Raises:
            StartError: this is not a pod, or one without a service-account token.
        """
        try:
            self._namespace = (folder / "namespace").read_text().strip()
            self._context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            self._url = url or _address()
            (folder / "token").read_bytes()
        except (OSError, KeyError) as error:
            raise StartError(
                "--authentication: token-review needs a pod with a service-account token mounted"
                " (automountServiceAccountToken: true); elsewhere use --authentication keys"
            ) from error
        self._model = model
        self._token = folder / "token"
        self._session: aiohttp.ClientSession | None = None

    async def user(self, token: str) -> dict[str, Any]:
        """Return who the token belongs to, as Kubernetes describes users.

        Raises:
            AuthenticationError: the token is no good here.
            UnavailableError: the API server did not say.
        """
        status = await self._review(
            "authentication.k8s.io/v1", "TokenReview", {"token": token, "audiences": [AUDIENCE]}
        )
        # Authenticators that know nothing of audiences accept tokens meant for others; then ours is not in the answer.
        if not status.get("authenticated") or AUDIENCE not in status.get("audiences", []):
            raise AuthenticationError(
                f"Authorization: not a valid token for the audience {AUDIENCE};"
                f" kubectl create token ACCOUNT --audience {AUDIENCE} makes one"
            )
        user: dict[str, Any] = status["user"]
        return user

    async def permit(self, user: dict[str, Any]) -> None:
        """Return if the user may use this model.

        Raises:
            ForbiddenError: they may not.
            UnavailableError: the API server did not say.
        """
        attributes = {
            "group": names.GROUP,
            "resource": names.PLURAL,
            "subresource": SUBRESOURCE,
            "verb": VERB,
            "namespace": self._namespace,
            "name": self._model,
        }
        spec = {
            "user": user["username"],
            "groups": user.get("groups", []),
            "uid": user.get("uid", ""),
            "extra": user.get("extra", {}),
            "resourceAttributes": attributes,
        }
        status = await self._review("authorization.k8s.io/v1", "SubjectAccessReview", spec)
        if not status.get("allowed"):
            raise ForbiddenError(
                f"{user['username'][:200]} may not use this model; a Role must allow the verb {VERB} on"
                f" {names.PLURAL}/{SUBRESOURCE} of {names.GROUP} in the namespace {self._namespace}"
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _review(self, version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        session = self._session
        if session is None:
            limit = aiohttp.ClientTimeout(total=ASK_SECONDS)
            session = self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context, limit=16), timeout=limit, trust_env=False
            )
        url = f"{self._url}/apis/{version}/{kind.lower()}s"
        # The kubelet replaces the token long before it expires: read anew, it is always a good one.
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        try:
            async with session.post(
                url, json={"apiVersion": version, "kind": kind, "spec": spec}, headers=headers
            ) as answer:
                if answer.status not in {200, 201}:
                    raise _RefusedError(answer.status)
                document = await answer.json()
                status: dict[str, Any] = document["status"]
                return status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, KeyError, _RefusedError) as error:
            words = RIGHT if isinstance(error, _RefusedError) and error.status in {401, 403} else str(error)[:200]
            logger.warning("token review: %s", words or type(error).__name__)
            raise UnavailableError("who calls cannot be checked now; retry", 1) from error


class _RefusedError(Exception):
    """The API server did not review; `status` is its HTTP code."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the API server answered {status}")
        self.status = status


def _address() -> str:
    """Return where pods find the API server; IPv6 addresses as URLs write them."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
