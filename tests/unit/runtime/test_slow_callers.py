"""Callers who are slow, silent, too many, or do not read: each is bounded, and nobody else waits for them."""

import asyncio
import resource
import time

import pytest

from slipstream_runtime.rest.limits import Limits
from slipstream_runtime.rest.responses import rest
from slipstream_testing.raw_http import Caller, listening, on_uvloop, request, until

GET = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"
LONG = 1000.0


def limits(**changed):
    patient = {"head": LONG, "body": LONG, "silence": LONG, "idle": LONG, "unread": LONG, "linger": LONG}
    return Limits(**(patient | {"tick": 0.01} | changed))


@on_uvloop
async def test_a_head_that_never_ends_times_out():
    async with listening(limits(head=0.05)) as served, served.caller() as caller:
        answer = await caller.ask(b"GET / HTTP/1.1\r\nHost: he")
        assert (answer.code, answer.headers["connection"]) == (408, "close")


@on_uvloop
async def test_a_body_that_falls_silent_times_out():
    async with listening(limits(silence=0.05)) as served, served.caller() as caller:
        assert (await caller.ask(request(body=b"x" * 10)[:-1])).code == 408


@on_uvloop
async def test_a_body_that_trickles_times_out_in_all():
    async with listening(limits(silence=0.2, body=0.3)) as served, served.caller() as caller:
        caller.send(request(body=b"x" * 10_000)[:-10_000])
        answer = asyncio.create_task(caller.reply())
        while not answer.done():
            caller.send(b"x")
            await asyncio.wait([answer], timeout=0.02)
        assert answer.result().code == 408
        assert served.desk.bodies == []


@on_uvloop
async def test_a_silent_connection_ends_without_a_word():
    async with listening(limits(idle=0.05)) as served, served.caller() as fresh, served.caller() as used:
        await used.ask(GET)
        assert await fresh.ended()
        assert await used.ended()


@on_uvloop
async def test_a_caller_who_waits_for_a_slow_answer_is_not_idle():
    async with listening(limits(idle=0.05)) as served, served.caller() as caller, served.caller() as idle:
        caller.send(request(target="/held"))
        await served.desk.holds(1)
        assert await idle.ended()
        served.desk.held[0].echo()
        assert (await caller.reply()).code == 200


@on_uvloop
async def test_a_caller_who_does_not_read_is_read_no_further_and_ends():
    async with listening(limits(unread=0.1)) as served, served.caller() as caller:
        caller.writer.transport.pause_reading()
        caller.send(request(target="/held") + request(target="/held") * 5)
        await served.desk.holds(6)
        for exchange in served.desk.held:
            exchange.finish(200, rest(b"x" * 4_000_000, b"text/plain"))
        caller.send(request(target="/held", body=b"never looked at"))
        await served.falls_to(0)
        assert len(served.desk.held) == 6


@on_uvloop
async def test_a_caller_who_reads_slowly_gets_all_of_it():
    async with listening(limits(unread=0.5)) as served, served.caller() as caller:
        caller.send(request(target="/held"))
        await served.desk.holds(1)
        served.desk.held[0].finish(200, rest(b"x" * 8_000_000, b"text/plain"))
        read = 0
        while read < 8_000_000:
            read += len(await caller.reader.read(400_000))
            await asyncio.sleep(0.01)


@on_uvloop
async def test_whoever_does_not_stop_sending_after_a_refusal_is_cut_off():
    async with listening(limits(linger=0.05)) as served, served.caller() as caller:
        assert (await caller.ask(b"nonsense\r\n\r\n")).code == 400

        def sent() -> bool:
            caller.send(b"x" * 1000)
            return served.listener.connections == 0

        await until(sent)


@on_uvloop
async def test_one_connection_too_many_is_told_so():
    async with listening(limits(connections=2)) as served:
        async with served.caller() as first, served.caller() as second:
            for caller in (first, second):
                assert (await caller.ask(GET)).code == 200
            async with served.caller() as third:
                answer = await third.ask(GET)
                assert (answer.code, answer.headers["retry-after"]) == (503, "1")
            assert (await first.ask(GET)).code == 200
        await served.falls_to(1)
        async with served.caller() as caller:
            assert (await caller.ask(GET)).code == 200


SLOW = 2000


@pytest.fixture
def descriptors():
    """Allow what the test needs, on both ends of its sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * SLOW + 200:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * SLOW + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def slowest_of(caller: Caller, count: int) -> float:
    slowest = 0.0
    for _ in range(count):
        begun = time.perf_counter()
        assert (await caller.ask(GET)).code == 200
        slowest = max(slowest, time.perf_counter() - begun)
    return slowest


@on_uvloop
async def test_two_thousand_slow_bodies_hurt_nobody_else_and_all_time_out(descriptors):
    async with listening(limits(silence=1.0)) as served, served.caller() as caller:
        slow = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(SLOW)]
        for _reader, writer in slow:
            writer.write(request(body=b"x" * 1000)[:-500])
        assert await slowest_of(caller, 200) < 0.5
        answers = await asyncio.gather(*(Caller(*ends).reply() for ends in slow))
        assert {answer.code for answer in answers} == {408}
        assert served.desk.bodies == [b""] * 200
        for _reader, writer in slow:
            writer.transport.abort()
