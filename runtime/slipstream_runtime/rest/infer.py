"""Finds who answers a request on the inference port: the model, or the application behind it."""

from functools import partial

from slipstream_runtime.callers.gate import Gate
from slipstream_runtime.errors import (
    BadRequestError,
    EncodingError,
    NotAllowedError,
    NotFoundError,
    ServingError,
)
from slipstream_runtime.protocol.decoding import Decoder
from slipstream_runtime.protocol.encoding import BINARY_TYPE, MODEL_VERSION, Encoder
from slipstream_runtime.protocol.errors import JSON_TYPE
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rest.bridge import App, BridgeExchange, check_caller
from slipstream_runtime.rest.exchange import Line
from slipstream_runtime.rest.faults import HttpError
from slipstream_runtime.rest.head import CHUNKED, Head
from slipstream_runtime.rest.hub import Page
from slipstream_runtime.rest.infer_exchange import Desk, Form, InferExchange
from slipstream_runtime.rest.waiting import Waiting

HEADER_LENGTH = b"inference-header-content-length"
VARIANT = b"slipstream-variant"
TIMEOUT = b"x-request-timeout-ms"
LONGEST_TIMEOUT_MILLISECONDS = 24 * 3600 * 1000

MAX_FORMS = 256


class Pages:
    """The pages of one model."""

    def __init__(self, model: str, signature: Signature, desk: Desk, app: App) -> None:
        self._model = model
        self._desk = desk
        self._app = app
        self._decoder = Decoder(signature)
        self._writer = Writer(Encoder(model, signature))
        self._forms: dict[tuple[bool, int | None, float | None], Form] = {}
        infer = f"/v2/models/{model}/infer".encode()
        self._infer = {infer, f"/v2/models/{model}/versions/{MODEL_VERSION}/infer".encode()}

    def route(self, head: Head) -> Page:
        """Return who answers requests of this head."""
        infer = head.target in self._infer
        if not infer and head.target != b"/predict":
            if head.target.startswith(b"/v2/models/") and head.target.endswith(b"/infer"):
                error = NotFoundError(f"no such model or version; this replica serves {self._model!r}, version 1")
                return partial(Fault, error, self._desk.gate)
            return partial(BridgeExchange, self._app, self._desk.gate)
        try:
            return partial(InferExchange, self._desk, self._form(head, infer=infer))
        except ServingError as error:
            return partial(Fault, error, self._desk.gate)

    def _form(self, head: Head, *, infer: bool) -> Form:
        if head.method != b"POST":
            raise NotAllowedError("send this request with POST")
        if b"content-length" not in head.fields and head.length != CHUNKED:
            raise HttpError(411, "Content-Length: missing; send it, or send the body chunked")
        if head.fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise EncodingError("Content-Encoding: send the body uncompressed")
        key = (infer, _header_length(head), _patience(head))
        form = self._forms.get(key)
        if form is None:
            if len(self._forms) >= MAX_FORMS:
                self._forms.clear()
            form = self._forms[key] = self._new_form(*key)
        return form

    def _new_form(self, infer: bool, length: int | None, patience: float | None) -> Form:
        if infer and length is None:
            return Form("infer", None, self._decoder.json, self._writer.infer, patience)
        if infer:
            return Form("infer", length, lambda body: self._decoder.infer(body, length), self._writer.infer, patience)
        if length is not None:
            raise BadRequestError("Inference-Header-Content-Length: /predict takes JSON only; use the infer path")
        return Form("predict", None, self._decoder.named, self._writer.named, patience)


class Writer:
    """Writes answers, after heads that are made once for each variant."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._json: dict[str, bytes] = {}
        self._binary: dict[str, bytes] = {}

    def infer(self, request: InferRequest, answer: Answer) -> bytes:
        """Return the answer to an infer request, without its first lines."""
        if request.id is None and not request.outputs:
            return self._with_head(answer.variant, self._encoder.plain(answer.outputs))
        body, header_length = self._encoder.infer(request, answer.outputs)
        if header_length is None:
            return self._with_head(answer.variant, body)
        head = self._binary.get(answer.variant)
        if head is None:
            head = self._binary[answer.variant] = _head(answer.variant, BINARY_TYPE) + HEADER_LENGTH + b": "
        return b"%b%d\r\ncontent-length: %d\r\n\r\n%b" % (head, header_length, len(body), body)

    def named(self, _request: InferRequest, answer: Answer) -> bytes:
        """Return the answer to a predict request, without its first lines."""
        return self._with_head(answer.variant, self._encoder.named(answer.outputs))

    def _with_head(self, variant: str, body: bytes) -> bytes:
        head = self._json.get(variant)
        if head is None:
            head = self._json[variant] = _head(variant, JSON_TYPE) + b"content-length: "
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)


class Fault(Waiting):
    """Refuses, whatever the body holds; who may not call at all is told only that."""

    __slots__ = ("_error", "_gate")

    def __init__(self, error: ServingError, gate: Gate, line: Line, head: Head) -> None:
        super().__init__(line, head)
        self._error = error
        self._gate = gate

    def refusal(self) -> ServingError | None:
        """Refuse whom we know before the body is read."""
        return self._error if self._gate.known(self.head.authorization) else None

    async def work(self, _body: bytes) -> None:
        """Refuse."""
        await check_caller(self._gate, self.head)
        raise self._error


def _head(variant: str, content_type: bytes) -> bytes:
    return b"content-type: %b\r\n%b: %b\r\n" % (content_type, VARIANT, variant.encode())


def _header_length(head: Head) -> int | None:
    """Return the length of the JSON part if binary tensors follow it."""
    value = head.fields.get(HEADER_LENGTH)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 10:
        raise BadRequestError("Inference-Header-Content-Length: must be the number of bytes of the JSON part")
    return int(value)


def _patience(head: Head) -> float | None:
    """Return how long the caller waits, in seconds, if it says."""
    value = head.fields.get(TIMEOUT)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 8 or not 0 < int(value) <= LONGEST_TIMEOUT_MILLISECONDS:
        raise BadRequestError(f"{TIMEOUT.decode()}: must be a whole number of milliseconds, 1 to 86400000")
    return int(value) / 1000
