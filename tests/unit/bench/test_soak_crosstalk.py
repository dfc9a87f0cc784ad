"""The soak's callers recognise their own answers, and whatever else a server may do to them."""

import json
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import grpc
import pytest
from bench.soak.callers import HttpCaller
from bench.soak.counts import Counter, Counts
from bench.soak.crosstalk import Crowd
from bench.soak.grpc_caller import GrpcCaller
from bench.soak.grpc_requests import grpc_kinds
from bench.soak.requests import FIRST_NONCE, kinds

from slipstream_runtime.rpc.messages import open_inference_pb2 as messages


@contextmanager
def server(answer):
    """Serve `answer(request body)`, an HTTP code and a body, until the block ends."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline():
                length = 0
                while (line := self.rfile.readline().strip()) and line:
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                code, body = answer(self.rfile.read(length))
                head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(body))
                self.wfile.write(head + body)

        def finish(self):
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # callers leave

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def echoed(body, shift=0):
    inputs = json.loads(body)["inputs"]
    if 9 in inputs[1]["data"]:
        return 500, b"{}"
    return 200, json.dumps({"data": [n + shift for n in inputs[0]["data"]]}, separators=(",", ":")).encode()


def converse(answer, requests=300):
    counts = Counts()
    kept = kinds("m")
    plain = kept | {"binary": kept["one"]}
    with server(answer) as port:
        crowd = Crowd([partial(HttpCaller, port, plain, counts)] * 8, counts, seed=1)
        crowd.run(requests, lambda: None)
        crowd.close()
    return counts


def converse_over_grpc(answer, requests=600):
    def infer(content, context):
        request = messages.ModelInferRequest.FromString(content)
        nonce, trap = (tensor.contents.int64_contents for tensor in request.inputs)
        raw = [bytes(content) for content in request.raw_input_contents]
        numbers = raw or [b"".join(n.to_bytes(8, "little") for n in part) for part in (nonce, trap)]
        code, body = answer(numbers[0], trapped=9 in numbers[1])
        if code is not grpc.StatusCode.OK:
            context.abort(code, "asked for")
        return messages.ModelInferResponse(model_name="m", raw_output_contents=[body]).SerializeToString()

    counts = Counts()
    service = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    with ThreadPoolExecutor(8) as threads:
        running = grpc.server(threads)
        port = running.add_insecure_port("127.0.0.1:0")
        handler = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", service)
        running.add_generic_rpc_handlers((handler,))
        running.start()
        crowd = Crowd([partial(GrpcCaller, port, grpc_kinds("m"), counts)] * 3, counts, seed=1)
        crowd.run(requests, lambda: None)
        crowd.close()
        running.stop(None).wait()
    return counts


def echoed_over_grpc(nonces, trapped):
    return (grpc.StatusCode.INTERNAL if trapped else grpc.StatusCode.OK), nonces


def test_own_answers_and_asked_for_failures_are_no_faults():
    counts = converse(echoed)
    assert counts.faults == 0
    assert counts.sent == 300 == counts.own + counts.left + counts.failed
    assert counts.left > 0
    assert counts.failed > 0


def test_an_answer_of_another_caller_is_a_mismatch():
    counts = converse(lambda body: echoed(body, shift=4))
    assert counts.own == 0
    assert counts.mismatched == counts.sent - counts.left - counts.failed


def test_a_failure_without_cause_is_a_fault():
    counts = converse(lambda body: (500, b"{}"))
    assert counts.wrong > 0
    assert counts.mismatched == 0


def test_own_answers_over_grpc_and_asked_for_failures_are_no_faults():
    counts = converse_over_grpc(echoed_over_grpc)
    assert counts.faults == 0
    assert counts.sent == 600 == counts.grpc
    assert counts.sent == counts.own + counts.left + counts.failed + counts.refused
    assert counts.own > 500
    assert counts.left > 0
    assert counts.failed > 0


def test_an_answer_of_another_grpc_caller_is_a_mismatch():
    counts = converse_over_grpc(lambda nonces, trapped: echoed_over_grpc(bytes(8) + nonces[8:], trapped))
    assert counts.own == 0
    assert counts.mismatched > 500


def test_a_failure_over_grpc_without_cause_is_a_fault():
    counts = converse_over_grpc(lambda _, trapped: (grpc.StatusCode.INTERNAL, b""))
    assert counts.wrong > 500
    assert counts.own == 0


@pytest.mark.parametrize("name", ["one", "three", "binary"])
def test_bodies_carry_their_own_nonces_and_no_other(name):
    kind = kinds("m")[name]
    nonce = FIRST_NONCE + 17
    request = kind.request(nonce)
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert kind.written(nonce) in body
    answer = (
        b"{}" + kind.written(nonce)
        if name == "binary"
        else b'{"data":[%b]}' % b",".join(kind.written(nonce + row) for row in range(kind.rows))
    )
    assert kind.answers(answer, nonce)
    assert not kind.answers(answer, nonce + 1)


def test_counts_are_kept_for_a_later_run(tmp_path):
    first = Counter(tmp_path / "counts")
    first.counts.own = 7
    first.keep()
    second = Counter(tmp_path / "counts")
    second.load()
    assert second.counts.own == 7
