"""A replica of two processes: balanced, added up, and well when one of them, or the one that watches, is gone."""

import asyncio
import os
import select
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiohttp
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipstream_contract import metrics
from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.replicas import PATIENT, arguments, replica

ROWS = {"features": [[0.5] * 8]}
PATIENCE_SECONDS = 20


@pytest.fixture
def pair(artifact):
    with replica(artifact, processes=2, objective_milliseconds=PATIENT) as running:
        yield running


def samples(running):
    text = httpx.get(f"{running.metrics_url}/metrics", timeout=5).text
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def value(running, name, **labels):
    return samples(running)[(name, *sorted(labels.items()))]


def ready(running):
    return httpx.get(f"{running.metrics_url}/readyz").status_code == 200


def answered(running):
    return value(running, f"{metrics.REQUEST_SECONDS}_count", code="200", protocol="http")


def workers(running):
    pid = running.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(condition):
    """Ask again and again; every question goes to a process, so that this waits for it and not for the clock."""
    for _ in range(10_000):
        if condition():
            return
    raise AssertionError("it never came true")


@contextmanager
def watched(pid):
    """Give a function that waits for the end of a process that is not our child."""
    fd = os.pidfd_open(pid)
    try:
        yield lambda: bool(select.select([fd], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(fd)


def test_what_all_workers_counted_adds_up(pair):
    for _ in range(40):  # each on a connection of its own, so that both workers get some
        assert httpx.post(f"{pair.url}/predict", json=ROWS).status_code == 200
    found = samples(pair)
    assert found[(metrics.PROCESSES,)] == len(workers(pair)) == 2
    assert answered(pair) == 40
    assert found[(metrics.ROWS_TOTAL, ("variant", "original"))] == 40
    assert found[(f"{metrics.BATCH_ROWS}_sum",)] == 40
    assert found[(metrics.IN_FLIGHT,)] == 0
    assert found[(metrics.BUSY_SECONDS_TOTAL,)] == pytest.approx(found[(f"{metrics.COMPUTE_SECONDS}_sum",)] / 2)
    assert [name for name in found if name[0] == metrics.INFO] == [name for name in found if "artifact" in str(name)]


def test_connections_spread_over_the_workers(pair):
    with ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(socket.create_connection(("127.0.0.1", pair.port)))
        until(lambda: value(pair, metrics.OPEN_CONNECTIONS, protocol="http") == 64)
        os.kill(workers(pair)[0], signal.SIGKILL)  # its share shows by what the other is left with
        until(lambda: value(pair, metrics.RESTARTS_TOTAL) == 1)
        assert 12 <= value(pair, metrics.OPEN_CONNECTIONS, protocol="http") <= 52  # 5 standard deviations from 32


async def test_when_a_worker_dies_only_its_own_requests_fail_and_another_takes_its_place(pair):
    victim = workers(pair)[0]
    before = 0
    with watched(victim) as ended:
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(call(pair, 150, pause=ended)) for _ in range(16)]
            while before < 1000:
                before = await asyncio.to_thread(answered, pair)
            os.kill(victim, signal.SIGKILL)
    lost = [failures for failures, _ in map(asyncio.Task.result, callers)]
    assert max(lost) <= 1  # a connection dies once, with what was under way on it
    assert 0 < sum(done for _, done in map(asyncio.Task.result, callers)) == 16 * 150 - sum(lost)
    until(lambda: value(pair, metrics.PROCESSES) == 2)
    assert victim not in workers(pair)
    assert ready(pair)
    assert value(pair, metrics.RESTARTS_TOTAL) == 1
    counted = sum(done for _, done in map(asyncio.Task.result, callers))
    assert counted - 150 < answered(pair) <= counted  # less what it did between the last scrape and its end


async def call(running, times, *, leave=False, pause=lambda: None):
    """Send so many requests on one connection at a time; return how many failed and how many were answered.

    After a failure, pause: the kernel closes what a dead process had one by one, and a caller who comes back at once
    may be queued by a socket that is next.
    """
    failed = done = 0
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(times):
            try:
                async with session.post(f"{running.url}/predict", json=ROWS) as answer:
                    assert answer.status == 200
                    await answer.read()
                    done += 1
            except aiohttp.ClientError as error:
                if leave and isinstance(error, aiohttp.ClientConnectorError):
                    break  # nobody listens any more: this request was never sent
                failed += 1
                await asyncio.to_thread(pause)
    return failed, done


async def test_stopping_loses_no_request_of_any_worker(pair):
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(call(pair, 1_000_000, leave=True)) for _ in range(16)]
        while await asyncio.to_thread(answered, pair) < 200:
            pass
        pair.process.send_signal(signal.SIGTERM)
    assert sum(failed for failed, _ in map(asyncio.Task.result, callers)) == 0
    assert sum(done for _, done in map(asyncio.Task.result, callers)) > 200
    assert await asyncio.to_thread(pair.process.wait, PATIENCE_SECONDS) == 0


def test_no_worker_outlives_a_supervisor_that_was_killed(pair):
    first, second = workers(pair)
    with watched(first) as first_ended, watched(second) as second_ended:
        pair.process.kill()
        assert first_ended()
        assert second_ended()


def test_a_scrape_does_not_wait_for_a_worker_that_hangs(pair):
    for _ in range(20):
        httpx.post(f"{pair.url}/predict", json=ROWS)
    assert answered(pair) == 20
    stopped = workers(pair)[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        answer = httpx.get(f"{pair.metrics_url}/metrics", timeout=3)
        assert answer.status_code == 200
        assert answered(pair) == 20  # with what the silent one had told before
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_a_second_signal_ends_all_at_once(pair):
    first, second = workers(pair)
    os.kill(first, signal.SIGSTOP)  # it can stop in no other way
    with watched(first) as first_ended, watched(second) as second_ended:
        pair.process.send_signal(signal.SIGTERM)
        until(lambda: not ready(pair))
        pair.process.send_signal(signal.SIGTERM)
        assert first_ended()
        assert second_ended()
        assert pair.process.wait(PATIENCE_SECONDS) != 0


def test_workers_that_die_again_and_again_end_the_replica(pair):
    while pair.process.poll() is None:
        for pid in workers(pair):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert pair.process.returncode == 1


def test_what_keeps_the_workers_from_starting_is_said_once(tmp_path):
    write_artifact(tmp_path, mlp())
    path = tmp_path / "original.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    command = arguments(tmp_path, processes=2)
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "original.onnx: differs from the manifest's digest" in line
