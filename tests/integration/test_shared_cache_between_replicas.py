"""Two real replicas share what they computed through a real Redis, and neither fails a request when it is killed."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.redis_server import RedisServer
from slipstream_testing.replicas import replica
from slipstream_testing.waiting import eventually

INFER = "/v2/models/tiny/infer"


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def replicas(server, tmp_path_factory):
    """Two replicas of a model that takes some milliseconds, so that Redis is worth asking."""
    folder = tmp_path_factory.mktemp("shared")
    write_artifact(folder, mlp(hidden=400_000))
    address = folder / "url"
    address.write_text(server.url)
    options = {"cache_bytes": 10_000_000, "cache_redis_file": address}
    with replica(folder, **options) as one, replica(folder, **options) as two:
        for running in (one, two):
            eventually(lambda running=running: metric(running, 'cache_active{level="redis"}') == 1)
        yield one, two


def metric(running, name):
    found = re.search(
        rf"^slipstream_{re.escape(name)} ([\d.e+-]+)$", httpx.get(running.metrics_url + "/metrics").text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def hits(running):
    return metric(running, 'cache_lookups_total{level="redis",result="hit"}')


def ask(running, client, value):
    tensor = {"name": "features", "shape": [1, 8], "datatype": "FP32", "data": [value] * 8}
    return client.post(running.url + INFER, content=json.dumps({"inputs": [tensor]}))


def test_one_replica_answers_what_the_other_computed(server, replicas):
    one, two = replicas
    with httpx.Client() as client:
        computed = [ask(one, client, float(value)) for value in range(50)]
        eventually(lambda: server.client.dbsize() >= 50)
        shared = [ask(two, client, float(value)) for value in range(50)]
    assert [answer.json()["outputs"] for answer in shared] == [answer.json()["outputs"] for answer in computed]
    assert hits(two) > 25  # the rest came too late on a busy machine, and was computed
    assert hits(one) == 0


def test_killing_redis_amid_traffic_fails_no_request_and_its_return_is_noticed(server, replicas):
    one, two = replicas

    def load(running, first):
        with httpx.Client() as client:
            return [ask(running, client, first + number / 8).status_code for number in range(150)]

    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load, running, 1000.0 * place) for place, running in enumerate((one, two), 1)]
        server.stop()
        codes = [code for done in loads for code in done.result()]
    assert set(codes) == {200}
    for running in (one, two):
        eventually(lambda running=running: metric(running, 'cache_active{level="redis"}') == 0)
    server.start()
    for running in (one, two):
        eventually(lambda running=running: metric(running, 'cache_active{level="redis"}') == 1)
