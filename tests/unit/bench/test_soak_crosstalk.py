"""The soak's callers recognise their own answers, and whatever else a server may do to them."""

import json
import socketserver
import threading
from contextlib import contextmanager

import pytest
from bench.soak.crosstalk import Counter, Counts, Crowd
from bench.soak.requests import FIRST_NONCE, kinds


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
        crowd = Crowd([(port, plain, 8)], counts, seed=1)
        crowd.run(requests, lambda: None)
        crowd.close()
    return counts


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
