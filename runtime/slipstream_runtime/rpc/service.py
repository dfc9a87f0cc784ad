"""Which method does what, and who may call it."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import monotonic

from slipstream_runtime.callers.gate import Caller, Gate
from slipstream_runtime.errors import (
    AuthenticationError,
    BodyTooLargeError,
    ForbiddenError,
    NotFoundError,
    ServingError,
    UnsupportedError,
)
from slipstream_runtime.observing.logs import cause
from slipstream_runtime.observing.telemetry import AUTHENTICATION, BODY, CONNECTIONS, GRPC, Telemetry
from slipstream_runtime.observing.tracing import Trace, Tracer
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rpc.call import Call, Conversation
from slipstream_runtime.rpc.catalogue import SERVICE, Catalogue
from slipstream_runtime.rpc.inference import Decoder, Encoder, streamed, streamed_error

logger = logging.getLogger(__name__)

FAILED = "the replica failed on this request"

Page = Callable[[bytes], bytes | None]
Route = tuple[Callable[[Call, bytes], None], bool]

UNSERVED = {
    "RepositoryModelLoad": "a replica serves the one model it was started with; deploy another for another model",
    "RepositoryModelUnload": "a replica serves its model until it is stopped",
    "SystemSharedMemoryStatus": "shared memory is not supported; send tensors in the request",
    "SystemSharedMemoryRegister": "shared memory is not supported; send tensors in the request",
    "SystemSharedMemoryUnregister": "shared memory is not supported; send tensors in the request",
    "CudaSharedMemoryStatus": "shared memory is not supported; send tensors in the request",
    "CudaSharedMemoryRegister": "shared memory is not supported; send tensors in the request",
    "CudaSharedMemoryUnregister": "shared memory is not supported; send tensors in the request",
    "TraceSetting": "traces are configured by OpenTelemetry's environment variables",
    "LogSettings": "logs are configured by --log-format",
}


class Service:
    """Serves the methods of `inference.GRPCInferenceService`, and `grpc.health.v1.Health/Check`."""

    def __init__(
        self,
        model: str,
        signature: Signature,
        plane: DataPlane,
        gate: Gate,
        telemetry: Telemetry,
        catalogue: Catalogue,
        tracer: Tracer | None = None,
    ) -> None:
        self.tracer = tracer
        self._plane = plane
        self._gate = gate
        self.telemetry = telemetry
        self._decoder = Decoder(model, signature)
        self.encoder = Encoder(model, signature)
        self._reviews: set[asyncio.Task[None]] = set()
        self._routes = self._table(catalogue)

    def _table(self, catalogue: Catalogue) -> dict[bytes, Route]:
        """Return what serves each path; health is for everyone, all else for callers the gate knows."""
        methods: dict[str, Route] = {
            "ModelInfer": (self._infer, False),
            "ModelStreamInfer": (self._stream, True),
            "ServerLive": (partial(_open_page, catalogue.server_live), False),
            "ServerReady": (partial(_open_page, catalogue.server_ready), False),
            "ModelReady": (partial(_open_page, catalogue.model_ready), False),
            "ServerMetadata": (partial(self._page, catalogue.server_metadata), False),
            "ModelMetadata": (partial(self._page, catalogue.model_metadata), False),
            "ModelConfig": (partial(self._page, catalogue.model_config), False),
            "ModelStatistics": (partial(self._page, catalogue.model_statistics), False),
            "RepositoryIndex": (partial(self._page, catalogue.repository_index), False),
        }
        methods |= {name: (partial(_refuse, reason), False) for name, reason in UNSERVED.items()}
        paths = {b"/%b/%b" % (SERVICE, name.encode()): route for name, route in methods.items()}
        return paths | {b"/grpc.health.v1.Health/Check": (partial(_open_page, catalogue.health_check), False)}

    # What a connection asks

    def route(self, path: bytes) -> Route | None:
        """Return what serves a message sent to `path`, and whether the call has many of them."""
        return self._routes.get(path)

    def failed(self, error: ServingError, seconds: float) -> None:
        """Count a call that was answered with an error, so many seconds after it was opened."""
        self.telemetry.answered(error.code, seconds, GRPC)
        if isinstance(error, AuthenticationError | ForbiddenError):
            self.telemetry.rejected[AUTHENTICATION] += 1
        elif isinstance(error, BodyTooLargeError):
            self.telemetry.rejected[BODY] += 1

    def cancelled(self, messages: int) -> None:
        """Count messages whose caller went away, or was sent away, before their answer."""
        self.telemetry.cancelled += messages
        self.telemetry.in_flight -= messages

    def opened(self, change: int) -> None:
        """Count connections opened (1) and closed (-1)."""
        self.telemetry.connections[GRPC] += change

    def refused(self) -> None:
        """Count a connection refused because there are too many."""
        self.telemetry.rejected[CONNECTIONS] += 1

    # What the methods do

    def _infer(self, call: Call, content: bytes) -> None:
        call.serving = 1
        self.telemetry.in_flight += 1
        self._admit(call, partial(self._submit, content, Inference(self, call)))

    def _stream(self, call: Call, content: bytes) -> None:
        self.telemetry.in_flight += 1
        self._admit(call, partial(self._submit, content, StreamedInference(self, call)))

    def _page(self, page: Page, call: Call, content: bytes) -> None:
        self._admit(call, lambda _caller: _open_page(page, call, content))

    def _admit(self, call: Call, then: Callable[[Caller], None]) -> None:
        """Go on with the caller at once when the gate knows it, as nearly always; otherwise ask first."""
        caller = self._gate.known(call.head.authorization)
        if caller is not None:
            then(caller)
            return
        task = asyncio.get_running_loop().create_task(self._review(call, then))
        self._reviews.add(task)
        task.add_done_callback(self._reviews.discard)

    async def _review(self, call: Call, then: Callable[[Caller], None]) -> None:
        try:
            caller = await self._gate.review(call.head.authorization)
        except ServingError as error:
            self._settle_refused(call, error)
        except Exception:
            logger.exception("a caller could not be told")
            self._settle_refused(call, ServingError(FAILED))
        else:
            if not call.done():
                then(caller)

    def _settle_refused(self, call: Call, error: ServingError) -> None:
        if not call.done():
            self.telemetry.in_flight -= call.serving
            call.serving = 0
            call.fail(error)

    def _submit(self, content: bytes, inference: "Inference", caller: Caller) -> None:
        try:
            patience = inference.call.head.timeout_seconds
            self._plane.admit(1, patience)
            begun = monotonic()
            message = self._decoder.parse(content)
            inference.id = message.id
            request = inference.request = self._decoder.request(message)
            inference.decoded = monotonic() - begun
            self.telemetry.decode.observe(inference.decoded)
            if patience is not None and (request.timeout_seconds is None or patience < request.timeout_seconds):
                request.timeout_seconds = patience
            self._plane.submit(request, caller, inference)
        except ServingError as error:
            inference.set_exception(error)
        except Exception:
            logger.exception("a request failed inside the replica")
            inference.set_exception(ServingError(FAILED))


class Inference:
    """One request to the model, and the reply that the batcher settles."""

    __slots__ = ("_begun", "_service", "call", "decoded", "id", "request")

    def __init__(self, service: Service, call: Call) -> None:
        self._service = service
        self._begun = monotonic()
        self.call = call
        self.decoded: float | None = None
        """Seconds of decoding."""
        self.id = ""
        self.request = _UNREAD

    def done(self) -> bool:
        """Return whether the caller has its answer or has gone."""
        return self.call.line is None

    def set_result(self, answer: Answer, /) -> None:
        """Encode the answer and send it."""
        telemetry = self._service.telemetry
        begun = monotonic()
        try:
            content = self._service.encoder.response(self.request, answer)
        except Exception:
            logger.exception("an answer could not be encoded")
            self.set_exception(ServingError(FAILED))
            return
        ended = monotonic()
        telemetry.in_flight -= 1
        telemetry.encode.observe(ended - begun)
        telemetry.served(answer.variant, self.request.rows)
        telemetry.answered(200, ended - self._begun, GRPC)
        self._send(content)
        if self._service.tracer is not None:
            trace = self._trace(200, ended)
            trace.variant, trace.rows, trace.encode = answer.variant, self.request.rows, ended - begun
            trace.add_batch(answer.batch)
            self._service.tracer.record(trace)

    def _trace(self, code: int, ended: float) -> Trace:
        parent = self.call.head.traceparent
        text = None if parent is None else parent.decode("latin-1")
        return Trace(GRPC, self._begun, ended, code, text, decode=self.decoded)

    def _send(self, content: bytes) -> None:
        self.call.serving = 0
        self.call.answer(content)

    def set_exception(self, error: Exception, /) -> None:
        """Send why there is no answer."""
        if not isinstance(error, ServingError):
            logger.error("a request failed inside the replica (%s)", cause(error))
            error = ServingError(FAILED)
        self._service.telemetry.in_flight -= 1
        self._fail(error)
        if self._service.tracer is not None:
            self._service.tracer.record(self._trace(error.code, monotonic()))

    def _fail(self, error: ServingError) -> None:
        self.call.serving = 0
        self.call.fail(error)


class StreamedInference(Inference):
    """One request among many of a call; an error is an answer like others, and the call goes on."""

    __slots__ = ()

    def _send(self, content: bytes) -> None:
        self._push(streamed(content))

    def _fail(self, error: ServingError) -> None:
        self._service.failed(error, monotonic() - self._begun)
        self._push(streamed_error(str(error), self.id))

    def _push(self, content: bytes) -> None:
        if isinstance(self.call, Conversation):
            self.call.push(content)


_UNREAD = InferRequest((), 0)


def _open_page(page: Page, call: Call, content: bytes) -> None:
    try:
        answer = page(content)
        if answer is None:
            raise NotFoundError("no such service; ask for the empty name or inference.GRPCInferenceService")
    except ServingError as error:
        call.fail(error)
    except Exception:
        logger.exception("a page failed")
        call.fail(ServingError(FAILED))
    else:
        call.answer(answer)


def _refuse(reason: str, call: Call, _content: bytes) -> None:
    call.fail(UnsupportedError(reason))
