"""The infer path between the bytes and the data plane: who is refused when, and whose answer goes where."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from functools import partial

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.caching.lru import ByteLru
from slipstream_runtime.caching.responses import ResponseCache
from slipstream_runtime.callers.gate import ANONYMOUS, Caller, OpenGate
from slipstream_runtime.errors import AuthenticationError, ModelFailedError, OverloadedError
from slipstream_runtime.observing.telemetry import AUTHENTICATION, BODY, HTTP, Telemetry
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rest import aside
from slipstream_runtime.rest.aside import Aside
from slipstream_runtime.rest.infer import Pages
from slipstream_runtime.rest.infer_exchange import Desk, Form, InferExchange
from slipstream_runtime.rest.limits import Limits
from slipstream_testing.raw_http import on_uvloop, request, serving, until

pytestmark = pytest.mark.interpreted
INFER = "/v2/models/tiny/infer"
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 1)),))
BODY_OF_ONE = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}).encode()


class Plane:
    """A data plane that a test settles itself."""

    def __init__(self):
        self.submitted = []
        self.patience = []
        self.overloaded = False

    def admit(self, rows=1, patience=None, priority=0):
        self.patience.append(patience)
        if self.overloaded:
            raise OverloadedError("overloaded: retry later", 7)

    def submit(self, asked, caller, reply):
        self.submitted.append((asked, caller, reply))

    @property
    def replies(self):
        return [reply for _asked, _caller, reply in self.submitted]


def answer(value, variant="original"):
    return Answer((np.array([[value]], np.float32),), variant)


async def no_app(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"page", "more_body": False})


class Served:
    def __init__(self, listening, plane, telemetry):
        self.caller = listening.caller
        self.falls_to = listening.falls_to
        self.plane = plane
        self.telemetry = telemetry

    async def submitted(self, count):
        await until(lambda: len(self.plane.submitted) >= count)


@asynccontextmanager
async def infer_pages(gate=None, route=None, cached=False):
    plane, telemetry = Plane(), Telemetry(0.1)
    cache = ResponseCache(ByteLru(100_000, 100), "artifact", "original", telemetry.responses, lambda: 1.0)
    desk = Desk(gate or OpenGate(), plane, telemetry, Aside(), cache if cached else None)
    pages = Pages("tiny", SIGNATURE, desk, no_app).route if route is None else partial(route, desk)
    async with serving(pages, Limits(), telemetry) as listening:
        yield Served(listening, plane, telemetry)
    assert telemetry.in_flight == 0
    assert telemetry.connections[HTTP] == 0


@on_uvloop
async def test_answers_name_the_variant_and_go_to_their_own_callers():
    async with infer_pages() as served, served.caller() as first, served.caller() as second:
        first.send(request(target=INFER, body=BODY_OF_ONE))
        await served.submitted(1)
        second.send(request(target="/predict", body=b'{"x": [[3, 4]]}'))
        await served.submitted(2)
        one, two = served.plane.replies
        two.set_result(answer(2, "int8"))
        one.set_result(answer(1))
        replies = [await first.reply(), await second.reply()]
        assert [reply.headers["slipstream-variant"] for reply in replies] == ["original", "int8"]
        assert json.loads(replies[0].body)["outputs"][0]["data"] == [1]
        assert json.loads(replies[1].body) == {"y": [[2]]}
        assert {name: counts.rows for name, counts in served.telemetry.variants.items()} == {"original": 1, "int8": 1}


@on_uvloop
async def test_a_caller_who_goes_takes_its_request_out_and_leaves_its_batchmates():
    async with infer_pages() as served, served.caller() as stays:
        async with served.caller() as goes:
            goes.send(request(target=INFER, body=BODY_OF_ONE))
            await served.submitted(1)
        stays.send(request(target=INFER, body=BODY_OF_ONE))
        await served.submitted(2)
        await served.falls_to(1)
        gone, staying = served.plane.replies
        assert (gone.done(), staying.done()) == (True, False)
        for reply in (gone, staying):
            reply.set_result(answer(5))
        assert json.loads((await stays.reply()).body)["outputs"][0]["data"] == [5]
        assert served.telemetry.cancelled == 1


@on_uvloop
async def test_an_overload_is_told_before_the_body_is_read_and_costs_no_connection():
    async with infer_pages() as served, served.caller() as caller:
        served.plane.overloaded = True
        whole = request(target=INFER, body=BODY_OF_ONE)
        refused = await caller.ask(whole[:-10])
        assert (refused.code, refused.headers["retry-after"]) == (429, "7")
        caller.send(whole[-10:])
        assert (await caller.ask(whole)).code == 429  # whole at once, it is refused as well
        served.plane.overloaded = False
        caller.send(whole)
        await served.submitted(1)
        served.plane.replies[0].set_result(answer(1))
        assert (await caller.reply()).code == 200


@on_uvloop
async def test_callers_say_how_long_they_wait_in_a_header_or_for_this_request_alone():
    async with infer_pages() as served, served.caller() as caller:
        caller.send(request("POST", INFER, BODY_OF_ONE, "X-Request-Timeout-Ms: 1500"))
        await served.submitted(1)
        assert served.plane.patience[0] == 1.5
        own = json.dumps(json.loads(BODY_OF_ONE) | {"parameters": {"timeout": 20_000}}).encode()
        caller.send(request("POST", INFER, own, "X-Request-Timeout-Ms: 1500"))
        await served.submitted(2)
        assert [asked.timeout_seconds for asked, _caller, _reply in served.plane.submitted] == [1.5, 0.02]
        for reply in served.plane.replies:
            reply.set_exception(ModelFailedError("the model failed on this request"))
        assert [(await caller.reply()).code for _ in range(2)] == [500, 500]


REFUSED = {
    "no length": (f"POST {INFER} HTTP/1.1\r\nHost: here\r\n\r\n".encode(), 411),
    "GET": (request("GET", INFER), 405),
    "HEAD": (request("HEAD", "/predict"), 405),
    "another model": (request(target="/v2/models/other/infer"), 404),
    "gzip": (request("POST", INFER, b"", "Content-Encoding: gzip"), 415),
    "a time in words": (request("POST", INFER, b"", "X-Request-Timeout-Ms: soon"), 400),
    "no time": (request("POST", INFER, b"", "X-Request-Timeout-Ms: 0"), 400),
    "too long a time": (request("POST", INFER, b"", "X-Request-Timeout-Ms: 99999999999"), 400),
    "a binary short form": (request("POST", "/predict", b"", "Inference-Header-Content-Length: 0"), 400),
    "an endless time": (request("POST", INFER, b"", "X-Request-Timeout-Ms: 0000000005" + "9" * 5000), 400),
    "no JSON": (request(target=INFER, body=b"nonsense"), 400),
}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
@on_uvloop
async def test_bad_requests_are_refused_and_the_connection_goes_on(data, code):
    async with infer_pages() as served, served.caller() as caller:
        for _ in range(2):
            caller.send(data)
            reply = await caller.reply(head_only=data.startswith(b"HEAD"))
            assert reply.code == code
            assert (reply.headers.get("allow") == "POST") == (code == 405)
        assert (await caller.ask(request("GET", "/page"))).body == b"page"
        assert served.plane.submitted == []


@on_uvloop
async def test_what_the_head_gives_away_is_refused_before_the_body_is_read():
    async with infer_pages() as served, served.caller() as caller:
        whole = request(target="/v2/models/other/infer", body=b"x" * 1000)
        assert (await caller.ask(whole[:-500])).code == 404
        assert (await caller.ask(whole[-500:] + request("GET", "/page"))).body == b"page"


@on_uvloop
async def test_a_body_over_the_cap_is_counted_as_refused():
    async with infer_pages() as served, served.caller() as caller:
        head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: 99999999\r\n\r\n".encode()
        assert (await caller.ask(head)).code == 413
        assert served.telemetry.rejected[BODY] == 1


@on_uvloop
async def test_an_answer_that_cannot_be_written_is_an_error_of_its_own_request():
    async with infer_pages() as served, served.caller() as caller:
        caller.send(request(target=INFER, body=BODY_OF_ONE))
        await served.submitted(1)
        served.plane.replies[0].set_result(Answer((), "original"))
        reply = await caller.reply()
        assert (reply.code, reply.body) == (500, b'{"error":"the replica failed on this request"}')


@on_uvloop
async def test_the_same_bytes_are_answered_again_without_the_model_and_even_in_an_overload():
    async with infer_pages(cached=True) as served, served.caller() as caller:
        caller.send(request(target=INFER, body=BODY_OF_ONE))
        await served.submitted(1)
        served.plane.replies[0].set_result(answer(1))
        first = await caller.reply()
        served.plane.overloaded = True
        again = await caller.ask(request(target=INFER, body=BODY_OF_ONE))
        assert (again.code, again.body, again.headers["slipstream-variant"]) == (200, first.body, "original")
        assert (await caller.ask(request(target=INFER, body=BODY_OF_ONE + b" "))).code == 429
        assert served.telemetry.variants["original"].rows == 2


class SlowGate(OpenGate):
    """Knows nobody at once."""

    def __init__(self):
        self.verdict = asyncio.get_running_loop().create_future()
        self.asked = asyncio.Event()

    def known(self, _authorization):
        return None

    async def review(self, _authorization):
        self.asked.set()
        return await self.verdict


@on_uvloop
async def test_callers_are_looked_up_before_their_request_is_looked_at():
    gate = SlowGate()
    async with infer_pages(gate) as served, served.caller() as caller:
        caller.send(request(target=INFER, body=BODY_OF_ONE))
        await gate.asked.wait()
        assert served.plane.submitted == []
        gate.verdict.set_result(Caller(b"someone"))
        await until(lambda: served.plane.submitted)
        assert served.plane.submitted[0][1].tenant == b"someone"
        served.plane.replies[0].set_result(answer(1))
        assert (await caller.reply()).code == 200


@on_uvloop
async def test_whoever_goes_before_it_is_known_is_never_submitted():
    gate = SlowGate()
    async with infer_pages(gate) as served:
        async with served.caller() as caller:
            caller.send(request(target=INFER, body=BODY_OF_ONE))
            await gate.asked.wait()
        await served.falls_to(0)
        gate.verdict.set_result(ANONYMOUS)
        await asyncio.sleep(0)
        assert served.plane.submitted == []


@pytest.mark.parametrize("target", [INFER, "/predict", "/v2/models/other/infer", "/docs", "/v2", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@on_uvloop
async def test_the_unknown_learn_nothing_but_that(method, target):
    gate = SlowGate()
    gate.verdict.set_exception(AuthenticationError("Authorization: missing"))
    async with infer_pages(gate) as served, served.caller() as caller:
        reply = await caller.ask(request(method, target, BODY_OF_ONE))
        assert (reply.code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert (await caller.ask(request("GET", "/v2/health/live"))).code == 200
        assert served.telemetry.rejected[AUTHENTICATION] == (method == "POST" and target in {INFER, "/predict"})


class SlowDecoding:
    """Decodes large bodies when the test says so."""

    def __init__(self):
        self.go = threading.Event()

    def __call__(self, body):
        if len(body) > aside.MAX_BODY_BYTES // 64:
            assert self.go.wait(20)
        return InferRequest((np.zeros((1, 2), np.float32),), 1)

    def route(self, desk, _head):
        form = Form("infer", None, self, lambda _request, _answer: b"content-length: 0\r\n\r\n", None)
        return partial(InferExchange, desk, form)


@on_uvloop
async def test_nobody_waits_for_the_decoding_of_anothers_large_body(monkeypatch):
    monkeypatch.setattr(aside, "MAX_WAITING_BYTES", 1_500_000)
    slow = SlowDecoding()
    async with infer_pages(route=slow.route) as served, served.caller() as large, served.caller() as small:
        large.send(request(body=b"x" * 1_000_000))
        async with served.caller() as another:
            reply = await another.ask(request(body=b"x" * 1_000_000))
            assert (reply.code, reply.headers["retry-after"]) == (429, "1")
        small.send(request(body=b"x"))
        await until(lambda: served.plane.submitted)
        served.plane.replies[0].set_result(answer(1))
        assert (await small.reply()).code == 200
        slow.go.set()
        await until(lambda: len(served.plane.submitted) == 2)
        served.plane.replies[1].set_result(answer(1))
        assert (await large.reply()).code == 200
