"""How one replica comes and goes, and what it weighs."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from slipstream_testing.replicas import arguments, replica

ROWS = {"features": [[0.5] * 8]}
HEALTH = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
OVER_A_BARE_SESSION_MIB = 120

BARE = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {"features": numpy.zeros((1, 8), numpy.float32)})
print(open("/proc/self/smaps_rollup").read())
"""


def mebibytes(rollup):
    """Return the proportional set size in MiB: shared pages are counted in parts that add up."""
    return int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1]) / 1024


def weight(running):
    pid = running.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(mebibytes(Path(f"/proc/{each}/smaps_rollup").read_text()) for each in [pid, *children])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_replica_weighs_little_more_than_its_session(artifact, processes):
    command = [sys.executable, "-c", BARE, str(artifact / "original.onnx")]
    bare = mebibytes(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with replica(artifact, processes=processes) as running:
        for _ in range(50):
            assert httpx.post(f"{running.url}/predict", json=ROWS).status_code == 200
        assert weight(running) < bare + OVER_A_BARE_SESSION_MIB


@pytest.mark.parametrize("processes", [1, 2])
def test_who_has_not_heard_that_it_stops_is_still_served(artifact, processes):
    with replica(artifact, processes=processes) as running:
        running.process.terminate()
        while httpx.get(f"{running.metrics_url}/readyz").status_code == 200:
            pass
        with socket.create_connection(("127.0.0.1", running.port)) as late:
            late.sendall(HEALTH)
            answer = late.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        assert running.process.wait(timeout=30) == 0


def test_a_second_signal_ends_it_at_once(artifact):
    with replica(artifact, drain_seconds=600) as running, socket.socket() as unfinished:
        unfinished.connect(("127.0.0.1", running.port))
        unfinished.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        httpx.get(f"{running.url}/v2/health/live")  # the replica has accepted `unfinished` by then
        running.process.terminate()
        while httpx.get(f"{running.metrics_url}/readyz").status_code == 200:
            pass
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=10) == 128 + signal.SIGTERM


def test_a_grpc_port_in_use_is_named(artifact):
    for processes in (1, 2):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            command = arguments(artifact, grpc_port=port, processes=processes)
            result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert result.returncode == 2
        assert f"--grpc-port: cannot listen on 127.0.0.1:{port}" in result.stderr


def test_two_replicas_of_several_processes_do_not_share_a_port_by_mistake(artifact):
    with replica(artifact, processes=2) as running:
        command = arguments(artifact, port=running.port, processes=2)
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert result.returncode == 2
        assert f"--port: cannot listen on 127.0.0.1:{running.port}" in result.stderr


def test_several_processes_serve_an_inherited_socket(artifact):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        os.set_inheritable(listening.fileno(), True)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with replica(artifact, (listening.fileno(),), socket_fd=listening.fileno(), processes=2) as running:
            for _ in range(20):
                assert httpx.post(f"{url}/predict", json=ROWS).status_code == 200
            assert running.stop() == 0
