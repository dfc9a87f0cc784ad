"""A replica that is stopped loses no request."""

import asyncio
import json
import os
import socket
import subprocess
import sys

import httpx
import numpy as np
import pytest

from slipstream_contract.load import LoadSecond
from slipstream_testing.artifacts import mlp
from slipstream_testing.replicas import replica


@pytest.fixture
def shared_socket():
    """Return a listening socket for replicas to inherit, as `slipstream up` makes one."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        os.set_inheritable(listening.fileno(), True)
        yield listening


@pytest.fixture
def inputs(tmp_path):
    path = tmp_path / "inputs.npz"
    np.savez(path, allow_pickle=False, **mlp().golden)
    return path


def test_sigterm_ends_an_idle_replica_with_success(artifact):
    with replica(artifact) as running, httpx.Client(base_url=running.url) as client:
        assert client.get("/v2/health/ready").status_code == 200
        assert running.stop() == 0


def test_a_connection_in_use_is_told_to_close(artifact):
    with replica(artifact) as running, httpx.Client(base_url=running.url) as client:
        assert client.post("/predict", json={"features": [[0.5] * 8]}).headers.get("connection") is None
        running.process.terminate()
        while (answer := client.get("/v2/health/ready")).status_code == 200:
            assert "connection" not in answer.headers
        assert answer.status_code == 503
        assert answer.headers["connection"] == "close"
        assert running.process.wait(timeout=30) == 0


def test_a_connection_accepted_before_the_signal_is_still_served(artifact):
    with replica(artifact) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as silent:
            httpx.get(f"{running.url}/v2/health/live")  # the replica has accepted `silent` by then
            running.process.terminate()
            while httpx.get(f"{running.metrics_url}/readyz").status_code == 200:
                pass
            silent.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert silent.recv(100).startswith(b"HTTP/1.1 200")
        assert running.process.wait(timeout=30) == 0


async def test_stopping_one_of_two_replicas_under_load_fails_nothing(artifact, shared_socket, inputs):
    fd = shared_socket.fileno()
    port = shared_socket.getsockname()[1]
    patient = {"socket_fd": fd, "objective_milliseconds": 10_000}  # so that a busy machine sheds nothing either
    with replica(artifact, (fd,), **patient) as first, replica(artifact, (fd,), **patient) as second:
        load = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "slipstream_runtime.load",
            f"--url=http://127.0.0.1:{port}",
            "--model=tiny",
            f"--inputs={inputs}",
            "--schedule=0:300,4:300",
            stdout=subprocess.PIPE,
        )
        assert load.stdout is not None
        seconds = [LoadSecond(**json.loads(await load.stdout.readline()))]
        served = {running: await requests_served(running) for running in (first, second)}
        assert all(count > 0 for count in served.values())
        assert await asyncio.to_thread(first.stop) == 0
        seconds += [LoadSecond(**json.loads(line)) async for line in load.stdout]
        assert await load.wait() == 0
    assert sum(second.failed + second.rejected for second in seconds) == 0
    assert sum(second.answered for second in seconds) == sum(second.offered for second in seconds) > 1000


async def requests_served(running):
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{running.metrics_url}/metrics")).text
    name = 'slipstream_request_duration_seconds_count{code="200",protocol="http"} '
    return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))
