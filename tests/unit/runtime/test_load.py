"""The load generator offers what its schedule says, and reports what became of it."""

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest

from slipstream_runtime.load.bodies import InputsError, build_requests, request_head
from slipstream_runtime.load.schedule import Schedule, parse_schedule
from slipstream_runtime.load.tally import Latencies, Tally
from slipstream_testing.artifacts import mlp

HEAD = request_head("h", "m", "the-token")
METADATA = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}


def test_arrivals_follow_the_rate():
    schedule = parse_schedule("0:100,10:300,20:300,30:0")
    arrivals = list(schedule.arrivals(seed=1))
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == pytest.approx(2000 + 3000 + 1500, rel=0.05)
    assert sum(1 for second in arrivals if second < 10) == pytest.approx(2000, rel=0.08)
    assert (schedule.rate(5), schedule.rate(15), schedule.rate(31)) == (200, 300, 0)


def test_the_same_seed_gives_the_same_arrivals():
    schedule = Schedule(((0, 50), (4, 0)))
    assert list(schedule.arrivals(3)) == list(schedule.arrivals(3)) != list(schedule.arrivals(4))


@pytest.mark.parametrize("text", ["", "5", "0:1", "0:1,0:2", "1:5,2:5", "0:-1,2:5", "0:nan,1:1", "0:1,1:x"])
def test_a_schedule_that_makes_no_sense_is_refused(text):
    with pytest.raises(ValueError, match=r"needs at least|is not|must start"):
        parse_schedule(text)


def test_percentiles_are_within_one_percent():
    latencies = Latencies()
    for number in range(1, 1001):
        latencies.add(number / 1000)
    assert latencies.percentile_milliseconds(50) == pytest.approx(500, rel=0.01)
    assert latencies.percentile_milliseconds(99) == pytest.approx(990, rel=0.01)
    assert Latencies().percentile_milliseconds(99) == 0


def test_answers_refusals_and_failures_are_told_apart():
    tally = Tally()
    for code in (200, 429, 503, 504, 500, 400, 0):
        tally.ended(code, 0.001)
    second = tally.second(1.0)
    assert (second.answered, second.rejected, second.failed) == (1, 3, 3)
    assert math.isclose(second.p50_milliseconds, 1.0, rel_tol=0.01)


def test_requests_are_drawn_by_the_seed():
    arrays = {"x": np.arange(20, dtype=np.float32).reshape(10, 2)}
    requests = build_requests(HEAD, METADATA, arrays, rows=3, seed=5)
    assert requests == build_requests(HEAD, METADATA, arrays, rows=3, seed=5)
    head, body = requests[0].split(b"\r\n\r\n", 1)
    length = int(head.split(b"Inference-Header-Content-Length: ")[1].split(b"\r\n")[0])
    assert json.loads(body[:length])["inputs"][0]["shape"] == [3, 2]
    assert len(body) - length == 3 * 2 * 4


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": np.zeros((1, 2), np.float32)}, "no array 'x'"),
        ({"x": np.zeros((1, 2))}, "float64, the model takes float32"),
        ({"x": np.zeros((0, 2), np.float32)}, "no rows"),
    ],
)
def test_inputs_that_do_not_fit_are_named(arrays, words):
    with pytest.raises(InputsError, match=words):
        build_requests(HEAD, METADATA, arrays, rows=1, seed=0)


@pytest.fixture
def command(served, tmp_path):
    path = tmp_path / "inputs.npz"
    np.savez(path, allow_pickle=False, **mlp().golden)
    return [sys.executable, "-m", "slipstream_runtime.load", "--url", served.url, "--model=tiny", f"--inputs={path}"]


def test_a_closed_loop_ends_with_its_totals(command):
    done = subprocess.run([*command, "--concurrency=4", "--seconds=0.5"], capture_output=True, text=True, check=True)
    totals = json.loads(done.stdout.splitlines()[-1])
    assert set(totals) == {"requests", "failed", "seconds", "p50_milliseconds", "p99_milliseconds"}
    assert totals["requests"] > 0
    assert totals["failed"] == 0


def test_a_signal_ends_the_open_loop_cleanly(command):
    with subprocess.Popen([*command, "--schedule=0:50,600:50"], stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        assert json.loads(load.stdout.readline())["failed"] == 0
        load.send_signal(signal.SIGINT)
        assert load.wait(timeout=10) == 0


def test_a_server_that_is_not_there_is_named(command):
    at = command.index("--url") + 1
    command[at] = "http://127.0.0.1:1"
    done = subprocess.run([*command, "--concurrency=1"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "nothing answers at 127.0.0.1:1" in done.stderr
