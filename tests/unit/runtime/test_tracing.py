"""Requests are told to an OpenTelemetry collector by OTLP over HTTP; a collector that is gone costs nothing."""

import queue
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from slipstream_testing.replicas import replica

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
ROWS = {"features": [[0.5] * 8]}


@contextmanager
def collector():
    """Receive spans; give the address and a queue of them."""
    spans: queue.Queue = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans.put(span)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


@pytest.fixture
def environment(monkeypatch):
    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    set_all(OTEL_BSP_SCHEDULE_DELAY="50")
    return set_all


def attributes(span):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def test_a_request_becomes_a_span_that_continues_its_caller_s_trace(artifact, environment):
    with collector() as (address, spans):
        environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        with replica(artifact) as running:
            header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert httpx.post(f"{running.url}/predict", json=ROWS, headers=header).status_code == 200
            span = spans.get(timeout=10)
    found = attributes(span)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert found["slipstream.model"] == "tiny"
    assert found["slipstream.variant"] == "original"
    assert (found["slipstream.rows"], found["slipstream.batch.rows"]) == (1, 1)
    assert found["http.response.status_code"] == 200
    assert found["slipstream.cached"] is False
    parts = [found[f"slipstream.{part}.seconds"] for part in ("decode", "queue", "compute", "encode")]
    assert all(part >= 0 for part in parts)
    assert 0 < sum(parts) <= (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def test_a_refused_request_is_told_with_its_code(artifact, environment):
    with collector() as (address, spans):
        environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        with replica(artifact) as running:
            assert httpx.post(f"{running.url}/predict", json={"other": 1}).status_code == 400
            span = spans.get(timeout=10)
    assert attributes(span)["http.response.status_code"] == 400


def test_a_caller_who_does_not_sample_is_followed(artifact, environment):
    with collector() as (address, spans):
        environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        with replica(artifact) as running:
            for flags in ("00", "01"):
                header = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"}
                httpx.post(f"{running.url}/predict", json=ROWS, headers=header)
            assert running.stop() == 0
        assert spans.get(timeout=10).trace_id.hex() == TRACE
        assert spans.empty()


def test_a_collector_that_is_gone_fails_no_request_and_delays_no_stop(artifact, environment):
    environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="60")
    with replica(artifact) as running:
        for _ in range(20):
            assert httpx.post(f"{running.url}/predict", json=ROWS).status_code == 200
        assert running.stop() == 0
