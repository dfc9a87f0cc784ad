"""Callers that break HTTP/2's rules, or keep them and mean harm: told why, closed, and nobody else notices."""

import asyncio
import struct
from contextlib import suppress

import grpc
import numpy as np
import pytest
import pytest_asyncio
from hpack import Encoder

from slipstream_runtime.rpc import frames
from slipstream_runtime.rpc.limits import Limits
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_testing.grpc_service import echo_request, grpc_service, method, until

pytestmark = pytest.mark.asyncio(loop_scope="module")  # grpc.aio's client takes new event loops badly

ROW = np.ones((1, 2), np.float32)
GREETING = frames.PREFACE + frames.settings({})
HEAD = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", method("ModelInfer")),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


class Peer:
    """A client that writes frames as it likes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.encoder = Encoder()

    async def frame(self):
        """Return the next frame: its kind, flags, stream and payload; None at the end."""
        try:
            upper, lower, kind, flags, stream = frames.HEAD.unpack(await self.reader.readexactly(frames.HEAD_BYTES))
            return kind, flags, stream, await self.reader.readexactly(upper << 8 | lower)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def until(self, kind):
        """Return the payload of the next frame of `kind`, None at the end."""
        async with asyncio.timeout(5):
            while (found := await self.frame()) is not None:
                if found[0] == kind:
                    return found[3]
        return None

    async def farewell(self):
        """Return the code and the words with which the connection is ended, after checking that it is."""
        payload = await self.until(frames.GOAWAY)
        async with asyncio.timeout(5):
            while await self.frame() is not None:
                pass
        return struct.unpack(">I", payload[4:8])[0], payload[8:].decode()

    def send(self, *parts):
        self.writer.write(b"".join(parts))

    def headers(self, stream, head=HEAD, flags=frames.END_HEADERS):
        return frames.frame(frames.HEADERS, flags, stream, self.encoder.encode(head))


@pytest_asyncio.fixture(loop_scope="module")
async def connect():
    """Return what connects a peer, which speaks HTTP/2 unless it shall begin with other words."""
    peers = []

    async def connected(running, words=GREETING):
        peers.append(Peer(*await asyncio.open_connection("127.0.0.1", running.port)))
        peers[-1].send(words)
        return peers[-1]

    yield connected
    for peer in peers:
        peer.writer.close()
        with suppress(ConnectionError):
            await peer.writer.wait_closed()


def data(stream, content, flags=frames.END_STREAM):
    return frames.frame(frames.DATA, flags, stream, content)


def message(array=ROW):
    content = echo_request(array).SerializeToString()
    return b"\0" + len(content).to_bytes(4, "big") + content


async def still_serves(running):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as there:
        answer = await there.unary_unary(method("ModelInfer"))(echo_request(ROW).SerializeToString())
    return messages.ModelInferResponse.FromString(answer).raw_output_contents[0] == ROW.tobytes()


PING = frames.frame(frames.PING, 0, 0, bytes(8))

BROKEN = {
    "a frame that is too large": (lambda p: frames.head(frames.DATA, 0, 1, 20_000), frames.FRAME_SIZE_ERROR),
    "data for no call": (lambda p: data(1, b"x"), frames.PROTOCOL_ERROR),
    "data for the connection": (lambda p: data(0, b"x"), frames.PROTOCOL_ERROR),
    "a stream with an even number": (lambda p: p.headers(2), frames.PROTOCOL_ERROR),
    "headers that cannot be decompressed": (
        lambda p: frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff"),
        frames.COMPRESSION_ERROR,
    ),
    "a few bytes of headers that unfold to very many": (
        lambda p: p.headers(1, [*HEAD, *[("header", "v" * 3000)] * 10]),
        frames.COMPRESSION_ERROR,
    ),
    "headers that never end": (
        lambda p: p.headers(1, flags=0) + frames.frame(frames.CONTINUATION, 0, 1, b"\x00" * 16_000) * 3,
        frames.ENHANCE_YOUR_CALM,
    ),
    "headers that another frame interrupts": (lambda p: p.headers(1, flags=0) + PING, frames.PROTOCOL_ERROR),
    "a continuation of nothing": (lambda p: frames.frame(frames.CONTINUATION, 4, 1, b""), frames.PROTOCOL_ERROR),
    "padding longer than its frame": (
        lambda p: p.headers(1) + data(1, b"\xff\x00", frames.PADDED),
        frames.PROTOCOL_ERROR,
    ),
    "a promise": (lambda p: frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), frames.PROTOCOL_ERROR),
    "a reset of no call": (lambda p: frames.reset(1, 8), frames.PROTOCOL_ERROR),
    "a short reset": (lambda p: frames.frame(frames.RST_STREAM, 0, 1, b"x"), frames.FRAME_SIZE_ERROR),
    "a short ping": (lambda p: frames.frame(frames.PING, 0, 0, b"x"), frames.PROTOCOL_ERROR),
    "half a setting": (lambda p: frames.frame(frames.SETTINGS, 0, 0, b"xxx"), frames.FRAME_SIZE_ERROR),
    "a window beyond all bounds": (lambda p: frames.settings({4: 2**31}), frames.FLOW_CONTROL_ERROR),
    "a window that overflows": (lambda p: frames.window_update(0, 2**31 - 1) * 2, frames.FLOW_CONTROL_ERROR),
    "a window of nothing": (lambda p: frames.window_update(0, 0), frames.PROTOCOL_ERROR),
    "a flood of pings": (lambda p: PING * 3000, frames.ENHANCE_YOUR_CALM),
    "a flood of settings": (lambda p: frames.settings({}) * 3000, frames.ENHANCE_YOUR_CALM),
    "a flood of empty data": (lambda p: p.headers(1) + data(1, b"", 0) * 3000, frames.ENHANCE_YOUR_CALM),
    "a flood of unknown frames": (lambda p: frames.frame(0xEE, 0, 0, b"") * 3000, frames.ENHANCE_YOUR_CALM),
    "a flood of cancelled calls": (
        lambda p: b"".join(
            p.headers(n) + data(n, message()) + frames.reset(n, frames.CANCEL) for n in range(1, 6001, 2)
        ),
        frames.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_who_breaks_the_rules_is_told_and_closed(connect, broken):
    send, code = BROKEN[broken]
    async with grpc_service() as running:
        peer = await connect(running)
        peer.send(send(peer))
        told, words = await peer.farewell()
        assert (told, "\n" in words) == (code, False), words
        assert await still_serves(running)
    assert (running.telemetry.in_flight, running.telemetry.connections["grpc"]) == (0, 0)


async def test_who_speaks_something_else_is_closed(connect):
    async with grpc_service() as running:
        peer = await connect(running, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await peer.farewell() == (frames.PROTOCOL_ERROR, "not HTTP/2; use a gRPC client")


async def test_bytes_one_by_one_and_padding_make_no_difference(connect):
    async with grpc_service() as running:
        peer = await connect(running, b"")
        half = len(message()) // 2
        padded = bytes((7,)) + message()[half:] + bytes(7)
        block = peer.encoder.encode(HEAD)
        wire = (
            frames.PREFACE
            + frames.settings({})
            + frames.frame(frames.HEADERS, frames.WITH_PRIORITY, 1, bytes(5) + block[:9])
            + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[9:])
            + data(1, message()[:half], 0)
            + data(1, padded, frames.PADDED | frames.END_STREAM)
        )
        for byte in wire:
            peer.send(bytes((byte,)))
            await peer.writer.drain()
            await asyncio.sleep(0)
        answer = messages.ModelInferResponse.FromString((await peer.until(frames.DATA))[5:])
        assert answer.raw_output_contents[0] == ROW.tobytes()
        peer.writer.close()


async def test_a_silent_connection_and_an_unfinished_message_are_given_up(connect):
    limits = Limits(greeting=0.02, body=0.02, tick=0.01)
    async with grpc_service(limits=limits) as running:
        silent = await connect(running, b"")
        assert await silent.until(99) is None
        slow = await connect(running)
        slow.send(slow.headers(1), data(1, message()[:10], 0))
        assert await slow.until(frames.RST_STREAM) == struct.pack(">I", frames.CANCEL)
        assert running.listener._shared.unfinished_bytes == 0
        slow.writer.close()


async def test_an_idle_connection_is_told_to_come_back_when_it_has_something_to_say(connect):
    async with grpc_service(limits=Limits(idle=0.02, tick=0.01)) as running:
        peer = await connect(running)
        assert await peer.farewell() == (frames.NO_ERROR, "")


async def test_a_caller_who_takes_nothing_is_given_up_and_holds_up_nobody(connect):
    array = np.ones((1, 100_000), np.float32)
    async with grpc_service(limits=Limits(unread=0.05, tick=0.01)) as running:
        peer = await connect(running)
        content = message(array)
        parts = [data(1, content[at : at + 16_000], 0) for at in range(0, len(content), 16_000)]
        peer.send(peer.headers(1), *parts, data(1, b""))
        assert await peer.until(frames.RST_STREAM) == struct.pack(">I", frames.CANCEL)
        assert await still_serves(running)
        peer.writer.close()


async def test_an_answer_follows_the_windows_of_its_caller(connect):
    array = np.arange(1000, dtype=np.float32).reshape(1, -1)
    async with grpc_service() as running:
        peer = await connect(running)
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
        peer.send(peer.headers(1), data(1, message(array)))
        received = await peer.until(frames.DATA)
        assert len(received) == 100
        while len(received) < 4000:
            peer.send(frames.window_update(1, 700))
            part = await peer.until(frames.DATA)
            assert len(part) <= 700
            received += part
        answer = messages.ModelInferResponse.FromString(received[5:])
        assert answer.raw_output_contents[0] == array.tobytes()
        peer.writer.close()


async def test_calls_and_connections_over_the_limit_are_refused(connect):
    async with grpc_service(limits=Limits(calls=2, connections=1)) as running:
        peer = await connect(running)
        peer.send(*(peer.headers(stream) for stream in (1, 3, 5)))
        assert await peer.until(frames.RST_STREAM) == struct.pack(">I", frames.REFUSED_STREAM)
        peer.send(data(1, message()))
        assert await peer.until(frames.DATA)
        other = await connect(running)
        assert await other.farewell() == (frames.ENHANCE_YOUR_CALM, "too many connections")
        peer.writer.close()
    assert running.telemetry.rejected["connections"] == 1


async def test_unfinished_messages_of_all_callers_together_are_bounded(connect):
    async with grpc_service(limits=Limits(unfinished_bytes=20_000)) as running:
        peer = await connect(running)
        peer.send(peer.headers(1), data(1, message()[:5] + bytes(12_000), 0))
        peer.send(peer.headers(3), data(3, message()[:5] + bytes(12_000), 0))
        trailers = await peer.until(frames.HEADERS)
        assert b"grpc-status\x018" in trailers
        assert b"too many messages" in trailers
        await until(lambda: running.listener._shared.unfinished_bytes == 12_005)
        peer.writer.close()
        await until(lambda: running.listener._shared.unfinished_bytes == 0)


async def test_many_messages_in_one_call_wait_in_a_bounded_buffer(connect):
    async with grpc_service() as running:
        peer = await connect(running)
        head = [(name, method("ModelStreamInfer") if name == ":path" else value) for name, value in HEAD]
        peer.send(peer.headers(1, head))
        window = 64 * 1024 + 8 * 2**20
        peer.send(*(data(1, b"\0\xff\xff\xff\xff"[:5] if not at else bytes(16_000), 0) for at in range(2)))
        trailers = await peer.until(frames.HEADERS)
        assert b"grpc-status\x018" in trailers
        assert running.listener._shared.unfinished_bytes <= window
        peer.writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ([(":method", "GET"), *HEAD[1:]], b"12"),
        ([*HEAD[:-1], ("content-type", "text/plain")], b"3"),
        ([*HEAD, ("grpc-timeout", "soon")], b"3"),
        ([*HEAD, ("grpc-encoding", "gzip")], b"12"),
    ],
)
async def test_calls_whose_headers_are_wrong_get_a_status(connect, head, status):
    async with grpc_service() as running:
        peer = await connect(running)
        peer.send(peer.headers(1, head), data(1, message()))
        assert b"grpc-status%c%b" % (len(status), status) in await peer.until(frames.HEADERS)
        peer.send(peer.headers(3), data(3, message()))
        assert await peer.until(frames.DATA)
        peer.writer.close()
