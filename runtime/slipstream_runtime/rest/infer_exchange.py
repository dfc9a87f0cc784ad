"""One request on the infer path: from its bytes to the data plane and back, by calls alone, because it must be fast."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from slipstream_runtime.caching.responses import Key, ResponseCache
from slipstream_runtime.callers.gate import Caller, Gate
from slipstream_runtime.errors import OverloadedError, ServingError
from slipstream_runtime.observing.telemetry import AUTHENTICATION, BODY, HTTP, Telemetry
from slipstream_runtime.observing.tracing import Trace, Tracer
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.protocol.reply import Answer, Batch
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.rest.aside import Aside
from slipstream_runtime.rest.exchange import FAILED, Exchange, Line
from slipstream_runtime.rest.head import Head

logger = logging.getLogger(__name__)

LARGE_BODY_BYTES = 256 * 1024
"""Decoding a larger one on the loop would make all other callers wait; below it the hand-over costs more."""

TRACEPARENT = b"traceparent"

Decode = Callable[[bytes], InferRequest]
Encode = Callable[[InferRequest, Answer], bytes]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all requests share."""

    gate: Gate
    plane: DataPlane
    telemetry: Telemetry
    aside: Aside
    responses: ResponseCache | None = None
    tracer: Tracer | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What the head says of a request: how to read it, how to write its answer, how long its caller waits."""

    name: str
    """Forms of one name mean the same by the same body."""
    header_length: int | None
    decode: Decode
    encode: Encode
    patience: float | None


class InferExchange(Exchange):
    """One request to the model, and the reply that the batcher settles."""

    __slots__ = ("_begun", "_decoded", "_desk", "_form", "_key", "_request", "_task")

    def __init__(self, desk: Desk, form: Form, line: Line, head: Head) -> None:
        self.line = line  # not by super(): this is done for every request
        self.head = head
        self.close = False
        self.code = 0
        self._desk = desk
        self._form = form
        self._begun = 0.0
        self._key: Key | None = None

    def refusal(self) -> ServingError | None:
        """Refuse before the body is read when its answer would come too late."""
        try:
            self._desk.plane.admit(1, self._form.patience)
        except OverloadedError as error:
            return error
        return None

    def receive(self, body: bytes) -> None:
        """Decode and submit; the answer comes to `set_result`."""
        desk = self._desk
        self._begun = monotonic()
        desk.telemetry.in_flight += 1
        caller = desk.gate.known(self.head.authorization)
        if caller is None:
            self._task = asyncio.get_running_loop().create_task(self._review(body))
        else:
            self._accept(body, caller)

    async def _review(self, body: bytes) -> None:
        try:
            caller = await self._desk.gate.review(self.head.authorization)
        except ServingError as error:
            self._desk.telemetry.rejected[AUTHENTICATION] += 1
            self.fail(error)
        except Exception:  # noqa: BLE001  # the caller is told, the log says why, the others go on
            self._broken()
        else:
            if not self.done():
                self._accept(body, caller)

    def _accept(self, body: bytes, caller: Caller) -> None:
        form, desk = self._form, self._desk
        large = len(body) > LARGE_BODY_BYTES
        try:
            if desk.responses is not None and not large and self._known(desk.responses, body, caller):
                return
            desk.plane.admit(1, form.patience)
            if large:
                self._decode_aside(body, caller)
                return
            begun = monotonic()
            request = form.decode(body)
            seconds = self._decoded = monotonic() - begun
            desk.telemetry.decode.observe(seconds)
            self._submit(request, caller)
        except ServingError as error:
            self.fail(error)
        except Exception:  # noqa: BLE001  # as above
            self._broken()

    def _known(self, responses: ResponseCache, body: bytes, caller: Caller) -> bool:
        """Send what was answered to the same bytes before; return whether there was something."""
        form = self._form
        self._key, kept = responses.find(caller.tenant, form.name, form.header_length, body)
        if kept is None:
            return False
        self._send(kept.answer, responses.variant, kept.rows)
        return True

    def _submit(self, request: InferRequest, caller: Caller) -> None:
        self._request = request
        if request.timeout_seconds is None:
            request.timeout_seconds = self._form.patience
        self._desk.plane.submit(request, caller, self)

    def _decode_aside(self, body: bytes, caller: Caller) -> None:
        begun = monotonic()

        def submit(decoded: "asyncio.Future[InferRequest]") -> None:
            self._decoded = monotonic() - begun
            self._desk.telemetry.decode.observe(self._decoded)
            if self.done():
                return
            try:
                self._submit(decoded.result(), caller)
            except ServingError as error:
                self.fail(error)
            except Exception:  # noqa: BLE001  # as above
                self._broken()

        self._desk.aside.decode(self._form.decode, body, submit)

    def set_result(self, answer: Answer, /) -> None:
        """Encode and send the answer."""
        if self.line is None:
            return
        desk, request = self._desk, self._request
        begun = monotonic()
        try:
            rest = self._form.encode(request, answer)
        except Exception:  # noqa: BLE001  # as above
            self._broken()
            return
        encoded = monotonic() - begun
        desk.telemetry.encode.observe(encoded)
        self._send(rest, answer.variant, request.rows, encoded, answer.batch)
        if self._key is not None and desk.responses is not None:
            desk.responses.keep(self._key, rest, request.rows, answer.variant)

    def _send(
        self, rest: bytes, variant: str, rows: int, encoded: float | None = None, batch: Batch | None = None
    ) -> None:
        """Send an answer of code 200 and count it; `encoded` is in seconds, None when it was kept from before."""
        line, desk = self.line, self._desk
        if line is None:
            return
        self.line = None
        line.answer(self, 200, rest)
        telemetry = desk.telemetry
        ended = monotonic()
        telemetry.answered_well(ended - self._begun, variant, rows)
        telemetry.in_flight -= 1
        if desk.tracer is not None:
            decoded = None if encoded is None else self._decoded
            trace = self._trace(200, ended, variant, rows, decoded, encoded)
            trace.add_batch(batch)
            desk.tracer.record(trace)

    def _trace(
        self,
        code: int,
        ended: float,
        variant: str = "",
        rows: int = 0,
        decoded: float | None = None,
        encoded: float | None = None,
    ) -> Trace:
        parent = self.head.fields.get(TRACEPARENT)
        text = None if parent is None else parent.decode("latin-1")
        return Trace(HTTP, self._begun, ended, code, text, variant, rows, decode=decoded, encode=encoded)

    def set_exception(self, error: Exception, /) -> None:
        """Send the error."""
        self.fail(error if isinstance(error, ServingError) else ServingError(FAILED))

    def fail(self, error: ServingError) -> None:
        """Count and send an error."""
        if self.done():
            return
        desk, ended = self._desk, monotonic()
        if self._begun:
            desk.telemetry.in_flight -= 1
        else:  # its body was not read
            self._begun = ended
            if not isinstance(error, OverloadedError):
                desk.telemetry.rejected[BODY] += 1
        desk.telemetry.answered(error.code, ended - self._begun)
        super().fail(error)
        if desk.tracer is not None:
            desk.tracer.record(self._trace(error.code, ended))

    def lost(self) -> None:
        """Count a caller who has gone; the batcher drops the request because it is done."""
        if self._begun:
            self._desk.telemetry.in_flight -= 1
            self._desk.telemetry.cancelled += 1

    def _broken(self) -> None:
        logger.exception("a request failed inside the replica")
        self.fail(ServingError(FAILED))
