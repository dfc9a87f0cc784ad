"""Replicas as real processes that share one socket."""

import asyncio
import dataclasses
import os
import signal

import httpx
import pytest

from slipstream_contract.serving import ServingOptions
from slipstream_operator.errors import MachineError
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.replicas import Replicas, listen
from slipstream_operator.scrape import Scraper
from slipstream_testing.artifacts import mlp, write_artifact

ROW = {"inputs": [{"name": "features", "shape": [1, 8], "datatype": "FP32", "data": [0.5] * 8}]}


class Bench:
    """One set of replicas with what drives them in a test."""

    def __init__(self, folder):
        write_artifact(folder / "artifact", mlp())
        self.options = ServingOptions(
            str(folder / "artifact"), "original", "tiny", authentication="none", threads=1, processes=1
        )
        self.listener = listen("127.0.0.1", 0)
        self.replicas = Replicas(StateFolder(folder), self.listener)
        self.scraper = Scraper()
        self.now = 0.0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v2/models/tiny/infer"

    async def until(self, holds, count=1, options=None):
        """Reconcile to `count` replicas until `holds()`; the clock runs a second a turn."""
        for _ in range(600):
            self.now += 1
            await self.replicas.ensure(options or self.options, count, self.now)
            for replica in self.replicas.running:
                replica.ready = await self.scraper.answers(replica.url("/readyz"))
            if holds():
                return
            await asyncio.sleep(0.05)
        raise AssertionError([r.child.last_line() for r in self.replicas.running])

    @property
    def ready(self):
        return [r for r in self.replicas.observe() if r.ready]

    @property
    def pids(self):
        return [r.child.pid for r in self.replicas.running]


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    await bench.replicas.stop(10)
    await bench.scraper.close()
    bench.listener.close()


async def test_replicas_answer_on_the_shared_socket(bench):
    await bench.until(lambda: len(bench.ready) == 2, count=2)

    async with httpx.AsyncClient() as client:
        answer = await client.post(bench.url, json=ROW)

    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["shape"] == [1, 3]


async def test_a_replica_that_dies_is_replaced(bench):
    await bench.until(lambda: len(bench.ready) == 1)
    (first,) = bench.pids
    os.kill(first, signal.SIGKILL)

    await bench.until(lambda: first not in bench.pids and len(bench.ready) == 1)


async def test_scaling_in_loses_no_request(bench):
    await bench.until(lambda: len(bench.ready) == 2, count=2)
    codes = []

    async def call_without_pause(stop):
        while not stop.is_set():
            async with httpx.AsyncClient() as client:
                codes.append((await client.post(bench.url, json=ROW)).status_code)

    stop = asyncio.Event()
    calls = asyncio.gather(*(call_without_pause(stop) for _ in range(4)))
    await bench.until(lambda: len(codes) > 50, count=2)
    await bench.until(lambda: len(bench.replicas.running) == 1, count=1)
    seen = len(codes)
    await bench.until(lambda: len(codes) > seen + 50, count=1)
    stop.set()
    await calls

    assert set(codes) == {200}


async def test_another_revision_takes_over_only_once_it_is_ready(bench, tmp_path):
    await bench.until(lambda: len(bench.ready) == 1)
    (old,) = bench.pids
    other = dataclasses.replace(bench.options, objective_milliseconds=7)

    await bench.replicas.ensure(other, 1, bench.now)
    assert len(bench.replicas.observe()) == 2

    await bench.until(lambda: old not in bench.pids and len(bench.ready) == 1, options=other)


async def test_a_replica_that_cannot_start_tells_why(bench, tmp_path):
    (tmp_path / "artifact" / "original.onnx").write_bytes(b"tampered")

    await bench.until(lambda: "original.onnx" in bench.replicas.problem)


async def test_stopping_leaves_no_process(bench):
    await bench.until(lambda: len(bench.ready) == 2, count=2)
    pids = bench.pids

    await bench.replicas.stop(10)

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_port_in_use_is_refused_before_anything_starts():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=rf"127\.0\.0\.1:{port}: Address already in use; choose another port"):
            listen("127.0.0.1", port)


def test_a_second_run_of_the_same_deployment_is_refused(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.create()
    with folder.lock(), pytest.raises(MachineError, match=f"in use by process {os.getpid()}"):
        folder.lock()
