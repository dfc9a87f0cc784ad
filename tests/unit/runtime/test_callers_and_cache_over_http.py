"""A replica lets in who has a key, gives no tenant what another left in the cache, and counts what it finds there."""

import hashlib
import json
import re
import subprocess

import httpx
import pytest

from slipstream_testing.replicas import arguments, replica

INFER = "/v2/models/tiny/infer"


def line(name, key):
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}\n"


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(line("alice", "key-a") + line("alice", "key-a2") + line("bob", "key-b"))
    return file


@pytest.fixture(scope="module")
def guarded(artifact, keys_file):
    with replica(artifact, authentication="keys", keys_file=keys_file, cache_bytes=1_000_000) as running:
        yield running


@pytest.fixture
def client(guarded):
    with httpx.Client(base_url=guarded.url) as client:
        yield client


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def body(value, **more):
    shape = [1, 8]
    tensor = {"name": "features", "shape": shape, "datatype": "FP32", "data": [value] * 8}
    return json.dumps({"inputs": [tensor], **more}).encode()


def counts(guarded):
    found = re.findall(
        r'slipstream_cache_lookups_total\{level="(\w+)",result="(\w+)"\} ([\d.]+)',
        httpx.get(guarded.metrics_url + "/metrics").text,
    )
    return {(level, result): float(value) for level, result, value in found}


def gained(before, after):
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


@pytest.mark.parametrize("path", [INFER, "/predict", "/v2/models/tiny", "/v2", "/docs", "/openapi.json"])
@pytest.mark.parametrize("headers", [{}, bearer("nobody's"), {"Authorization": "Basic key-a"}])
def test_everything_but_health_needs_a_key(client, path, headers):
    answer = (
        client.post(path, content=body(1.0), headers=headers)
        if path in {INFER, "/predict"}
        else client.get(path, headers=headers)
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "key" in answer.json()["error"] or "Bearer" in answer.json()["error"]


def test_health_and_metrics_are_open(client, guarded):
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/health/live").status_code == 200
    assert httpx.get(guarded.metrics_url + "/readyz").status_code == 200


def test_the_same_bytes_are_answered_from_the_outer_level_byte_for_byte(client, guarded):
    sent = body(2.0)
    first = client.post(INFER, content=sent, headers=bearer("key-a"))
    before = counts(guarded)
    second = client.post(INFER, content=sent, headers=bearer("key-a2"))
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert first.headers["slipstream-variant"] == second.headers["slipstream-variant"]
    assert gained(before, counts(guarded)) == {("responses", "hit"): 1}


def test_the_same_numbers_in_other_words_are_answered_from_the_inner_level(client, guarded):
    client.post(INFER, content=body(3.0), headers=bearer("key-a"))
    before = counts(guarded)
    answer = client.post(INFER, content=body(3.0, id="other"), headers=bearer("key-a"))
    assert answer.json()["id"] == "other"
    assert gained(before, counts(guarded)) == {("responses", "miss"): 1, ("answers", "hit"): 1}


def test_tenants_never_get_what_another_left(client, guarded):
    client.post(INFER, content=body(4.0), headers=bearer("key-a"))
    before = counts(guarded)
    client.post(INFER, content=body(4.0), headers=bearer("key-b"))
    assert gained(before, counts(guarded)) == {("responses", "miss"): 1, ("answers", "miss"): 1}


def test_errors_are_not_kept(client, guarded):
    before = counts(guarded)
    for _ in range(3):
        assert client.post(INFER, content=b"{", headers=bearer("key-a")).status_code == 400
    assert gained(before, counts(guarded)) == {("responses", "miss"): 3}


def test_without_keys_the_replica_does_not_start_and_says_both_ways_out(artifact):
    done = subprocess.run(arguments(artifact, authentication="keys"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--keys-file" in done.stderr
    assert "--authentication none" in done.stderr
    assert "Traceback" not in done.stderr
