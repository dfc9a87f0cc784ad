"""The infer path as a raw ASGI callable, in front of everything else, because it is the path that must be fast."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from slipstream_runtime.errors import BadRequestError, EncodingError, NotAllowedError, NotFoundError, ServingError
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.protocol.decoding import decode_infer, decode_named
from slipstream_runtime.protocol.encoding import BINARY_TYPE, JSON_TYPE, MODEL_VERSION, Encoder
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rest.asgi import (
    App,
    DisconnectedError,
    Header,
    Receive,
    Scope,
    Send,
    read_body,
    respond,
    respond_error,
)

logger = logging.getLogger(__name__)

TASK_KEY = "slipstream.task"
"""Where the scope keeps the request's task, so that a lost connection can cancel it."""

HEADER_LENGTH = b"inference-header-content-length"

Answer = tuple[bytes, int | None]


class InferApp:
    """Answers infer and predict requests; hands all others to `fallback`."""

    def __init__(self, model: str, signature: Signature, plane: DataPlane, telemetry: Telemetry, fallback: App) -> None:
        self._model = model
        self._signature = signature
        self._plane = plane
        self._telemetry = telemetry
        self._fallback = fallback
        self._encoder = Encoder(model, signature)
        self._routes: dict[str, Callable[[bytes, int | None], Awaitable[Answer]]] = {
            f"/v2/models/{model}/infer": self._infer,
            f"/v2/models/{model}/versions/{MODEL_VERSION}/infer": self._infer,
            "/predict": self._predict,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        route = self._routes.get(path)
        if route is None:
            if path.startswith("/v2/models/") and path.endswith("/infer"):
                error = NotFoundError(f"no such model or version; this replica serves {self._model!r}, version 1")
                await respond_error(send, error)
            else:
                await self._fallback(scope, receive, send)
        elif scope["method"] != "POST":
            await respond_error(send, NotAllowedError("send this request with POST"))
        else:
            scope[TASK_KEY] = asyncio.current_task()
            await self._serve(route, scope["headers"], receive, send)

    async def _serve(
        self,
        route: Callable[[bytes, int | None], Awaitable[Answer]],
        headers: list[Header],
        receive: Receive,
        send: Send,
    ) -> None:
        begun = time.perf_counter()
        try:
            body = await read_body(headers, receive)
            begun = time.perf_counter()
            answer, header_length = await self._answer(route, headers, body)
        except ServingError as error:
            await respond_error(send, error)
            self._telemetry.answered(error.code, time.perf_counter() - begun)
        except (DisconnectedError, asyncio.CancelledError):
            return  # the caller has gone and its task ends here: nobody is left to answer
        else:
            if header_length is None:
                await respond(send, 200, answer, JSON_TYPE)
            else:
                await respond(send, 200, answer, BINARY_TYPE, ((HEADER_LENGTH, b"%d" % header_length),))
            self._telemetry.answered(200, time.perf_counter() - begun)

    async def _answer(
        self, route: Callable[[bytes, int | None], Awaitable[Answer]], headers: list[Header], body: bytes
    ) -> Answer:
        try:
            self._plane.admit()
            return await route(body, _header_length(headers))
        except ServingError:
            raise
        except Exception as error:
            logger.exception("a request failed inside the replica")
            raise ServingError("the replica failed on this request") from error

    async def _infer(self, body: bytes, header_length: int | None) -> Answer:
        request = decode_infer(self._signature, body, header_length)
        return self._encoder.infer(request, await self._plane.answer(request))

    async def _predict(self, body: bytes, header_length: int | None) -> Answer:
        if header_length is not None:
            raise BadRequestError("Inference-Header-Content-Length: /predict takes JSON only; use the infer path")
        request = decode_named(self._signature, body)
        return self._encoder.named(await self._plane.answer(request)), None


def _header_length(headers: list[Header]) -> int | None:
    """Check the encoding, and return the length of the JSON part if binary tensors follow it."""
    length = None
    for name, value in headers:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise EncodingError("Content-Encoding: send the body uncompressed")
        if name == HEADER_LENGTH:
            if not value.isdigit() or len(value) > 10:
                raise BadRequestError("Inference-Header-Content-Length: must be the number of bytes of the JSON part")
            length = int(value)
    return length
