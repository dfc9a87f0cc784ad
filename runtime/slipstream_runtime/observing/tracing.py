"""Traces for OpenTelemetry, where an endpoint is set: one span for each request, written when it is over.

The standard variables hold: OTEL_EXPORTER_OTLP_ENDPOINT and its relatives, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_TRACES_SAMPLER (by the caller's decision, else all, by default) and OTEL_TRACES_SAMPLER_ARG. A thread of the
library's exports what is queued; what does not fit into its queue is dropped, so that nobody waits for a collector.
"""

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipstream_runtime.protocol.reply import Batch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "slipstream-runtime"
FLUSH_SECONDS = 2.0


@dataclass(slots=True)
class Trace:
    """What is known of one request when it is over; times by time.monotonic(), spans in seconds or None."""

    protocol: str
    begun: float
    ended: float
    code: int
    traceparent: str | None = None
    variant: str = ""
    rows: int = 0
    batch_rows: int = 0
    decode: float | None = None
    queue: float | None = None
    compute: float | None = None
    encode: float | None = None

    def add_batch(self, batch: Batch | None) -> None:
        """Take over the times of the batch, unless it was begun for another request that asked the same before."""
        if batch is not None and batch.started >= self.begun:
            self.batch_rows = batch.rows
            self.queue = max(0.0, batch.started - self.begun - (self.decode or 0.0))
            self.compute = batch.ended - batch.started


class Tracer:
    """Hands requests over as spans; made only by `open_tracer`."""

    def __init__(self, provider: "TracerProvider", model: str) -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415  # only where traces are on
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)
        self._model = model
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = SpanKind.SERVER
        self._error = StatusCode.ERROR

    def record(self, trace: Trace) -> None:
        """Queue the span of one request."""
        wall = time.time() - time.monotonic()
        context = self._extract({"traceparent": trace.traceparent}) if trace.traceparent else None
        span = self._tracer.start_span("infer", context, self._kind, start_time=_nanoseconds(wall + trace.begun))
        if span.is_recording():
            for name, value in self._attributes(trace).items():
                span.set_attribute(name, value)
            if trace.code >= 500:
                span.set_status(self._error)
        span.end(_nanoseconds(wall + trace.ended))

    def _attributes(self, trace: Trace) -> dict[str, str | int | float]:
        spans = {"decode": trace.decode, "queue": trace.queue, "compute": trace.compute, "encode": trace.encode}
        return {
            "slipstream.model": self._model,
            "slipstream.variant": trace.variant,
            "slipstream.rows": trace.rows,
            "slipstream.batch.rows": trace.batch_rows,
            "slipstream.cached": trace.code == 200 and trace.compute is None,
            "network.protocol.name": trace.protocol,
            "http.response.status_code": trace.code,
            **{f"slipstream.{name}.seconds": value for name, value in spans.items() if value is not None},
        }

    def close(self) -> None:
        """Export what is queued, for a moment at most: a collector that is gone delays no exit."""
        thread = threading.Thread(target=self._provider.shutdown, name="flush", daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)


def open_tracer(model: str) -> Tracer | None:
    """Return the tracer that the environment asks for, or None when it asks for none."""
    if not any(os.environ.get(name) for name in ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # 16 MiB, only where used
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracer(provider, model)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
