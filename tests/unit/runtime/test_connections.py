"""HTTP/1.1 by raw bytes: framing, order, and what is refused."""

import asyncio
import socket

import pytest

from slipstream_runtime.rest.limits import MAX_BODY_BYTES, Limits
from slipstream_runtime.rest.sockets import bind
from slipstream_testing.raw_http import listening, on_uvloop, request, until

GET = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"


def chunked(*parts, end=b"0\r\n\r\n"):
    head = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


@on_uvloop
async def test_the_same_head_is_answered_again_and_again_on_one_connection():
    async with listening() as served, served.caller() as caller:
        for number in range(5):
            answer = await caller.ask(request(body=b"%d" % number))
            assert (answer.code, answer.body) == (200, b"/ %d" % number)
            assert answer.headers["date"].endswith("GMT")
            assert "connection" not in answer.headers


@on_uvloop
async def test_a_known_head_is_told_apart_from_its_body_however_they_come():
    async with listening() as served, served.caller() as caller:
        one = request(body=b"first")
        for packet in (one, one + one, one[:-2], one[-2:] + one[:20], one[20:]):
            caller.send(packet)
            await asyncio.sleep(0.01)  # so that each is a packet of its own
        assert [(await caller.reply()).body for _ in range(5)] == [b"/ first"] * 5


@on_uvloop
async def test_heads_that_never_repeat_are_answered_and_forgotten():
    async with listening() as served, served.caller() as caller:
        for number in range(3000):
            caller.send(request("POST", "/", b"body", f"Traceparent: {number}"))
            if number % 10 == 9:
                assert [(await caller.reply()).body for _ in range(10)] == [b"/ body"] * 10
        assert served.listener.known_heads <= 1024


@on_uvloop
async def test_pipelined_requests_are_answered_in_order_however_they_are_ready():
    async with listening() as served, served.caller() as caller:
        caller.send(request(target="/held1") + request(target="/quick2") + request(target="/held3") + GET)
        await served.desk.holds(2)
        first, third = served.desk.held
        third.echo()
        first.echo()
        answers = [(await caller.reply()).body for _ in range(4)]
        assert answers == [b"/held1 ", b"/quick2 ", b"/held3 ", b"/page "]
        assert (await caller.ask(GET)).code == 200


@on_uvloop
async def test_a_connection_reads_no_further_than_the_requests_that_may_wait():
    async with listening(Limits(waiting=3)) as served, served.caller() as caller:
        for number in range(50):
            caller.send(request(target=f"/held{number}"))
        await served.desk.holds(4)
        async with served.caller() as other:  # by its answer, everything sent before was looked at
            await other.ask(GET)
        assert len(served.desk.held) == 4
        for number in range(50):
            await served.desk.holds(number + 1)
            served.desk.held[number].echo()
            assert (await caller.reply()).body == b"/held%d " % number


@on_uvloop
async def test_bodies_that_wait_are_bounded_in_bytes():
    async with listening(Limits(waiting_bytes=1000)) as served, served.caller() as caller:
        for _ in range(20):
            caller.send(request(target="/held", body=b"x" * 600))
        await served.desk.holds(3)
        async with served.caller() as other:
            await other.ask(GET)
        assert len(served.desk.held) == 3
        for number in range(20):
            await served.desk.holds(number + 1)
            served.desk.held[number].echo()
            assert len((await caller.reply()).body) == 606


@on_uvloop
async def test_many_pipelined_requests_in_one_packet_are_all_answered():
    async with listening() as served, served.caller() as caller:
        caller.send(GET * 3000)
        for _ in range(3000):
            assert (await caller.reply()).code == 200


WHOLE = request(target="/whole", body=b"body") + chunked(b"ab", b"c") + GET


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@on_uvloop
async def test_requests_mean_the_same_in_whatever_pieces_they_come(size):
    async with listening() as served, served.caller() as caller:
        sock = caller.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(WHOLE), size):
            caller.send(WHOLE[start : start + size])
            await asyncio.sleep(0)
        assert [(await caller.reply()).body for _ in range(3)] == [b"/whole body", b"/ abc", b"/page "]


MALFORMED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "a bare LF": (b"GET / HTTP/1.1\nHost: here\n\n", 400),
    "a bare LF among the headers": (b"GET / HTTP/1.1\r\nHost: here\nA: b\r\n\r\n", 400),
    "a bare LF at the end": (b"GET / HTTP/1.1\r\nHost: here\r\n\nA: b\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: here\r\nA: b\r\n c\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : here\r\n\r\n", 400),
    "a NUL": (b"GET / HTTP/1.1\r\nHost: he\0re\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a list of lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400),
    "a signed length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
    "length and coding": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "coding and length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two codings": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "gzip": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "gzip, chunked": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "almost chunked": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "version 2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "version 0.9": (b"GET /\r\n\r\n", 505),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "another expectation": (request("POST", "/", b"", "Expect: miracles"), 417),
    "a long URI": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a URI without an end": (b"GET /" + b"a" * 20000, 414),
    "large headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: " + b"b" * 17000 + b"\r\n\r\n", 431),
    "headers without an end": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 4000, 431),
    "a declared body over the cap": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388609\r\n\r\n", 413),
    "a declared body beyond all": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999\r\n\r\n", 413),
    "a chunk without a size": (chunked(end=b"\r\n\r\n"), 400),
    "a negative chunk": (chunked(end=b"-1\r\n\r\n"), 400),
    "a huge chunk size": (chunked(end=b"fffffffff\r\n"), 400),
    "a chunk longer than its size": (chunked(end=b"2\r\nabc\r\n"), 400),
    "a chunk that ends in LF": (chunked(end=b"1\r\na\n0\r\n\r\n"), 400),
    "a CR in a chunk's extension": (chunked(end=b"1;a\rb\r\nx\r\n0\r\n\r\n"), 400),
    "an endless chunk extension": (chunked(end=b"1;" + b"a" * 300), 400),
    "an endless trailer": (chunked(end=b"0\r\n" + b"A: b\r\n" * 2000), 400),
    "too many chunks": (chunked(*[b"a"] * 17000), 400),
}


@pytest.mark.parametrize(("data", "code"), MALFORMED.values(), ids=MALFORMED)
@on_uvloop
async def test_malformed_requests_get_one_line_and_the_end_of_the_connection(data, code):
    async with listening() as served, served.caller() as caller, served.caller() as other:
        answer = await caller.ask(data)
        assert (answer.code, answer.headers["connection"]) == (code, "close")
        assert answer.body.startswith(b'{"error":"')
        assert b"\n" not in answer.body
        caller.writer.write_eof()
        assert await caller.ended()
        assert served.desk.bodies == []
        assert (await other.ask(GET)).code == 200


@on_uvloop
async def test_garbage_after_a_request_leaves_its_answer_alone():
    async with listening() as served, served.caller() as caller:
        caller.send(request(target="/held", body=b"good") + b"\x00garbage\r\n\r\n" + GET)
        await served.desk.holds(1)
        served.desk.held[0].echo()
        assert (await caller.reply()).body == b"/held good"
        assert (await caller.reply()).code == 400
        caller.writer.write_eof()
        assert await caller.ended()


@on_uvloop
async def test_a_streamed_body_over_the_cap_is_never_kept():
    async with listening() as served, served.caller() as caller:
        caller.send(chunked(*[b"x" * 65536] * (MAX_BODY_BYTES // 65536), b"one more", end=b""))
        assert (await caller.reply()).code == 413
        assert served.desk.bodies == []


@on_uvloop
async def test_a_body_of_exactly_the_cap_is_taken():
    async with listening() as served, served.caller() as caller:
        assert (await caller.ask(request(body=b"x" * MAX_BODY_BYTES))).code == 200
        caller.send(chunked(b"x" * MAX_BODY_BYTES))
        assert (await caller.reply()).code == 200


@on_uvloop
async def test_bodies_being_read_are_bounded_over_all_connections():
    async with (
        listening(Limits(unfinished_bytes=100_000)) as served,
        served.caller() as first,
        served.caller() as second,
    ):
        first.send(request(body=b"x" * 90_000)[:-1])
        await asyncio.sleep(0)
        answer = await second.ask(request(body=b"x" * 90_000)[:-1])
        assert (answer.code, answer.headers["retry-after"]) == (503, "1")
        assert (await first.ask(b"x")).code == 200
        async with served.caller() as third:
            assert (await third.ask(request(body=b"x" * 90_000))).code == 200


@on_uvloop
async def test_http_1_0_ends_unless_asked_to_stay():
    async with listening() as served:
        async with served.caller() as caller:
            answer = await caller.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert (answer.code, answer.headers["connection"]) == (200, "close")
            assert await caller.ended()
        async with served.caller() as caller:
            for _ in range(2):
                answer = await caller.ask(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
                assert answer.headers["connection"] == "keep-alive"


@on_uvloop
async def test_a_caller_who_says_close_is_answered_and_left():
    async with listening() as served, served.caller() as caller:
        caller.send(request("POST", "/", b"last", "Connection: close") + GET)
        answer = await caller.reply()
        assert (answer.body, answer.headers["connection"]) == (b"/ last", "close")
        assert await caller.ended()
        assert len(served.desk.bodies) == 1


@on_uvloop
async def test_nothing_is_taken_for_a_request_after_the_one_that_says_close():
    async with listening() as served, served.caller() as caller:
        caller.send(request("POST", "/held", b"last", "Connection: close") + request(target="/held"))
        await served.desk.holds(1)
        async with served.caller() as other:
            await other.ask(GET)
        assert len(served.desk.held) == 1
        served.desk.held[0].echo()
        assert (await caller.reply()).body == b"/held last"
        assert await caller.ended()


@on_uvloop
async def test_head_is_answered_without_the_body():
    async with listening() as served, served.caller() as caller:
        for _ in range(2):
            caller.send(GET.replace(b"GET", b"HEAD"))
            assert (await caller.reply(head_only=True)).headers["content-length"] == "6"
        assert (await caller.ask(GET)).body == b"/page "


@on_uvloop
async def test_upgrades_are_ignored():
    async with listening() as served, served.caller() as caller:
        lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
        for _ in range(2):
            assert (await caller.ask(request("POST", "/", b"body", *lines))).body == b"/ body"


@on_uvloop
async def test_whoever_asks_first_is_told_to_continue():
    async with listening() as served, served.caller() as caller:
        whole = request("POST", "/", b"body", "Expect: 100-continue")
        assert (await caller.ask(whole[:-4])).code == 100
        assert (await caller.ask(b"body")).body == b"/ body"
        assert (await caller.ask(whole)).body == b"/ body"  # who does not wait for it is not told


@on_uvloop
async def test_a_request_is_refused_before_its_body_is_read():
    async with listening() as served, served.caller() as caller:
        whole = request("POST", "/refused", b"x" * 1000)
        assert (await caller.ask(whole[:-500])).code == 429
        caller.send(whole[-500:] + GET)
        assert (await caller.reply()).body == b"/page "
        assert served.desk.bodies == [b""]


@on_uvloop
async def test_whoever_asks_first_and_is_refused_starts_anew():
    async with listening() as served, served.caller() as caller:
        answer = await caller.ask(request("POST", "/refused", b"x", "Expect: 100-continue")[:-1])
        assert (answer.code, answer.headers["connection"]) == (429, "close")
        caller.send(b"x" + GET)  # it may send the body, or not: nothing that follows is taken for a request
        caller.writer.write_eof()
        assert await caller.ended()


@on_uvloop
async def test_a_refusal_reaches_a_caller_who_is_still_sending():
    async with listening() as served, served.caller() as caller:
        whole = request("POST", "/refused", b"x" * 1_000_000, "Connection: close")
        caller.send(whole[:1000])
        answer = await caller.reply()
        caller.send(whole[1000:])
        assert (answer.code, answer.headers["connection"]) == (429, "close")
        caller.writer.write_eof()
        assert await caller.ended()


@on_uvloop
async def test_draining_waits_for_no_refused_caller():
    async with listening(Limits(linger=1000.0)) as served, served.caller() as caller:
        assert (await caller.ask(b"nonsense\r\n\r\n")).code == 400
        served.stop()
        assert await served.listener.drain(0, 10)


@on_uvloop
async def test_the_absolute_form_names_the_same_page():
    async with listening() as served, served.caller() as caller:
        answer = await caller.ask(b"GET http://here/page?x=1 HTTP/1.1\r\nHost: here\r\n\r\n")
        assert answer.body == b"/page "


@on_uvloop
async def test_a_caller_who_goes_loses_only_its_own_requests():
    async with listening() as served, served.caller() as staying:
        staying.send(request(target="/held/staying"))
        await served.desk.holds(1)
        async with served.caller() as going:
            going.send(request(target="/held/1") + request(target="/held/2"))
            await served.desk.holds(3)
        await until(lambda: len(served.desk.lost) == 2)
        stays, *gone = served.desk.held
        assert [exchange.done() for exchange in gone] == [True, True]
        assert not stays.done()
        for exchange in gone:
            exchange.echo()  # an answer that comes too late goes nowhere
        stays.echo()
        assert (await staying.reply()).body == b"/held/staying "


@on_uvloop
async def test_a_broken_page_breaks_its_connection_only(caplog):
    async with listening() as served, served.caller() as caller, served.caller() as other:
        answer = await caller.ask(request(target="/broken"))
        assert (answer.code, answer.body) == (500, b'{"error":"the replica failed on this request"}')
        assert (await caller.ask(GET)).code == 200
        assert (await other.ask(GET)).code == 200
    assert "a page that is broken" in caplog.text


@on_uvloop
async def test_draining_answers_what_was_read_and_closes_with_the_last():
    async with listening() as served, served.caller() as caller:
        caller.send(request(target="/held1") + request(target="/held2"))
        await served.desk.holds(2)
        served.stop()
        for exchange in served.desk.held:
            exchange.echo()
        assert "connection" not in (await caller.reply()).headers
        assert (await caller.reply()).headers["connection"] == "close"
        assert await caller.ended()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@on_uvloop
async def test_one_socket_serves_both_families():
    async with listening(host="::") as served:
        for host in ("127.0.0.1", "::1"):
            async with served.caller(host) as caller:
                assert (await caller.ask(GET)).code == 200


def test_several_processes_can_bind_one_port():
    with bind("port", "127.0.0.1", 0, reuse_port=True) as first:
        port = first.getsockname()[1]
        with bind("port", "127.0.0.1", port, reuse_port=True) as second:
            assert second.getsockname() == first.getsockname()
