"""Replicas share answers through a real Redis, and lose neither requests nor time when it is killed or frozen."""

import asyncio
import logging
from time import monotonic

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.caching import breaker, shared
from slipstream_runtime.caching.breaker import FAILURES
from slipstream_runtime.caching.entries import Entries
from slipstream_runtime.caching.opening import open_caches, read_address
from slipstream_runtime.errors import StartError
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.signature import Signature
from slipstream_testing.redis_server import RedisServer

SPEC = TensorSpec("x", "FP32", (-1, 4))
SIGNATURE = Signature((SPEC,), (TensorSpec("y", "FP32", (-1, 4)),))
COMPUTE_SECONDS = 0.3
LIMIT_SECONDS = 0.05  # the product's own is 4 ms, which a machine full of tests does not always hold
SLACK_SECONDS = 0.1


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


class Replica:
    """The caches of one replica, before a model that takes 0.3 s and answers with twice the input."""

    def __init__(self, server, folder, name, expected=COMPUTE_SECONDS, artifact="artifact"):
        file = folder / name
        file.write_text(server.url + "\nsecret of the replicas\n")
        options = ServingOptions("a", "original", "tiny", cache_bytes=10**6, cache_redis_file=str(file))
        self.telemetry = Telemetry(0.1)
        self.caches = open_caches(options, artifact, SIGNATURE, self.telemetry, lambda rows: expected)
        self.computed = 0

    async def __aenter__(self):
        self.caches.start()
        await until(lambda: self.telemetry.redis.active)
        return self

    async def __aexit__(self, *_):
        await self.caches.close()

    def compute(self, tensors):
        def begin(reply):
            self.computed += 1
            answer = Answer((tensors[0] * 2,), "original")
            asyncio.get_running_loop().call_later(COMPUTE_SECONDS, lambda: reply.done() or reply.set_result(answer))

        return begin

    async def ask(self, value, tenant=b"a"):
        tensors = (np.full((1, 4), value, np.float32),)
        reply = asyncio.get_running_loop().create_future()
        begun = monotonic()
        self.caches.answers.submit(tensors, tenant, reply, self.compute(tensors), 1, begun + 1)
        answer = await reply
        assert (answer.outputs[0] == 2 * value).all()
        return monotonic() - begun

    async def shared(self, server, count):
        await until(lambda: server.client.dbsize() >= count)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  another process's state, which has no event
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    for module in (breaker, shared):
        monkeypatch.setattr(module, "LIMIT_SECONDS", LIMIT_SECONDS)


@pytest.fixture(autouse=True)
def empty(server):
    server.client.flushall()


async def test_what_one_replica_computed_another_answers_at_once_and_byte_for_byte(server, tmp_path):
    async with Replica(server, tmp_path, "one") as one, Replica(server, tmp_path, "two") as two:
        await asyncio.gather(*(one.ask(value) for value in range(20)))
        await one.shared(server, 20)
        assert max([await two.ask(value) for value in range(20)]) < COMPUTE_SECONDS
        assert two.computed == 0
        assert two.telemetry.redis.hits == 20
        await two.ask(3)
        assert (two.telemetry.answers.hits, two.telemetry.redis.hits) == (1, 20)
    ttl = server.client.pttl(server.client.keys()[0])
    assert 0 < ttl <= 300_000


async def test_tenants_and_artifacts_share_nothing(server, tmp_path):
    async with Replica(server, tmp_path, "one") as one, Replica(server, tmp_path, "two", artifact="other") as two:
        await one.ask(1)
        await one.shared(server, 1)
        await one.ask(1, tenant=b"b")
        await two.ask(1)
        assert (one.computed, two.computed) == (2, 1)


async def test_a_model_that_is_quicker_than_redis_never_asks_it(server, tmp_path):
    async with Replica(server, tmp_path, "one", expected=20e-6) as one:
        await one.ask(1)
        assert one.telemetry.redis.hits + one.telemetry.redis.misses == 0


async def test_killing_redis_amid_traffic_fails_and_slows_no_request_and_its_return_is_noticed(
    server, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    async with Replica(server, tmp_path, "one") as one:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for value in range(300):
                tasks.append(group.create_task(one.ask(value)))
                await asyncio.sleep(0.001)
                if value == 100:
                    group.create_task(asyncio.to_thread(server.stop))
        assert max(task.result() for task in tasks) < COMPUTE_SECONDS + 2 * LIMIT_SECONDS + SLACK_SECONDS
        await until(lambda: not one.telemetry.redis.active)
        asked = one.telemetry.redis.misses
        await one.ask(1000)
        assert one.telemetry.redis.misses == asked
        server.start()
        await until(lambda: one.telemetry.redis.active)
        await one.ask(1001)
        assert one.telemetry.redis.misses == asked + 1
    assert caplog.text.count("the shared cache is away") == 1
    assert caplog.text.count("is used") == 2


async def test_a_frozen_redis_costs_a_few_milliseconds_a_few_times_and_is_then_left_alone(server, tmp_path):
    async with Replica(server, tmp_path, "one") as one:
        await one.ask(0)
        server.freeze(frozen=True)
        try:
            times = [await one.ask(value) for value in range(1, 10)]
        finally:
            server.freeze(frozen=False)
        assert max(times) < COMPUTE_SECONDS + 2 * LIMIT_SECONDS + SLACK_SECONDS
        assert one.telemetry.redis.misses <= 1 + FAILURES
        assert not one.telemetry.redis.active
        await until(lambda: one.telemetry.redis.active)


DAMAGES = {
    "a flipped bit": lambda client, name, entry, _: client.set(name, entry[:-3] + bytes([entry[-3] ^ 1]) + entry[-2:]),
    "a byte less": lambda client, name, entry, _: client.set(name, entry[:-1]),
    "a byte more": lambda client, name, entry, _: client.set(name, entry + b"0"),
    "another request's": lambda client, name, _, other: client.set(name, other),
    "nothing": lambda client, name, *_: client.set(name, b""),
    "much": lambda client, name, entry, _: client.set(name, entry + bytes(2 * 1024 * 1024)),
    "a list": lambda client, name, entry, _: client.delete(name) and client.rpush(name, entry),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
async def test_what_others_write_there_is_never_believed(server, tmp_path, damage):
    async with Replica(server, tmp_path, "one") as one, Replica(server, tmp_path, "two") as two:
        await asyncio.gather(one.ask(1), one.ask(2))
        await one.shared(server, 2)
        names = server.client.keys()
        entries = [server.client.get(name) for name in names]
        for name, entry, other in zip(names, entries, reversed(entries), strict=True):
            damage(server.client, name, entry, other)
        await asyncio.gather(two.ask(1), two.ask(2))
        assert two.computed == 2
        assert two.telemetry.redis.hits == 0


async def test_an_entry_of_another_secret_or_with_a_shape_that_does_not_fit_is_not_believed():
    key, outputs = bytes(32), (np.ones((1, 4), np.float32),)
    mine, theirs = Entries(b"mine", "artifact", SIGNATURE), Entries(b"theirs", "artifact", SIGNATURE)
    assert mine.open(key, 1, mine.seal(key, outputs))[0].tolist() == [[1, 1, 1, 1]]
    assert mine.open(key, 1, theirs.seal(key, outputs)) is None
    assert mine.name(key) != theirs.name(key)
    assert mine.open(key, 2, mine.seal(key, outputs)) is None
    assert mine.open(bytes([1]) * 32, 1, mine.seal(key, outputs)) is None
    for wrong in (np.ones((1, 5)), np.ones(4), np.full((1, 4), np.nan), np.ones((1, 4, 1))):
        sealed = mine.seal(key, (wrong.astype(np.float32),))
        assert mine.open(key, 1, sealed) is None
    assert mine.seal(key, (np.ones((1, 4)),)) is None
    assert mine.seal(key, (np.ones((10**6, 4), np.float32),)) is None


def test_a_file_without_an_address_and_one_without_a_cache_in_front_are_refused(tmp_path):
    file = tmp_path / "url"
    for text in ("", "http://x", "redis://", "redis://h:1/0\na\nb\n"):
        file.write_text(text)
        with pytest.raises(StartError, match="must hold redis://"):
            read_address(ServingOptions("a", "v", "m", cache_bytes=1, cache_redis_file=str(file)))
    file.write_text("redis://user:pass@localhost:6379/2\nsecret\n")
    assert read_address(ServingOptions("a", "v", "m", cache_bytes=1, cache_redis_file=str(file))).secret
    with pytest.raises(StartError, match="--cache-bytes"):
        read_address(ServingOptions("a", "v", "m", cache_redis_file=str(file)))
    with pytest.raises(StartError, match="readable"):
        read_address(ServingOptions("a", "v", "m", cache_bytes=1, cache_redis_file=str(tmp_path / "x")))
