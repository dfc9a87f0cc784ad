"""The serving benchmark judges what it measured, counts an overload rightly, and leaves no process behind."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from bench.serving import open_loop, processes, promises, table, wires, wrk
from bench.serving.cases import cache, heavy, memory, overload, small
from bench.serving.contenders import OURS
from bench.serving.open_loop import Second
from bench.serving.plan import Record
from bench.serving.results import BARE, CaseResult, Figure, Results
from bench.shared.folders import BenchError
from bench.shared.machine import Machine
from bench.shared.results import write

MACHINE = Machine("a processor", 2, 8 << 30, ("avx2",), "Linux 6", {"onnxruntime": "1.32"})


def result(name, *figures, failures=None):
    return CaseResult(name, "2026-01-01", 9.0, 0.01, 0.5, MACHINE, figures, {}, failures or {})


def small_result(mosec=10_000.0, failures=None):
    rates = {"PyTriton": 4000.0, "LitServe": 900.0, "MLServer": 900.0, "BentoML": 700.0, "Ray Serve": 300.0}
    rates |= {OURS: 20_000.0, "mosec": mosec}
    figures = [Figure(name, small.JSON, (rate, rate * 1.1, rate * 0.9)) for name, rate in rates.items()]
    alone = [Figure(OURS, small.ALONE, (0.3,)), Figure(BARE, small.ALONE, (0.01,))]
    return result("small", *figures, *alone, failures=failures)


def test_kept_promises_are_ok():
    kept, line = promises.line(Results((small_result(),)), ["small"])
    assert kept
    assert line.startswith("serving: ok 2x mosec in JSON, 5x PyTriton in JSON")


def test_a_missed_promise_is_named_with_both_figures():
    kept, line = promises.line(Results((small_result(mosec=16_000.0),)), ["small"])
    assert not kept
    assert line == "serving: failed small: 1.25x mosec in JSON, not at least 1.6"


def test_who_failed_fails_the_verdict():
    kept, line = promises.line(Results((small_result(failures={"mosec": "did not start (oh)"}),)), ["small"])
    assert not kept
    assert "small: mosec did not start (oh)" in line


def test_what_was_not_measured_fails_the_verdict():
    assert promises.line(Results(), ["heavy"]) == (False, "serving: failed heavy: was not measured")
    kept, line = promises.line(Results((result("heavy", Figure(BARE, heavy.RATE, (800.0,))),)), ["heavy"])
    assert not kept
    assert "heavy: no figure for 'N of the bare session's rows/s', not at least 0.92" in line


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    figures = (Figure(OURS, heavy.RATE, (90.0, 10.0, 99.0)), Figure(BARE, heavy.RATE, (100.0, 10.0, 110.0)))
    assert result("heavy", *figures).ratio(OURS, BARE, heavy.RATE) == pytest.approx(0.9)


def test_results_survive_their_file_and_merge_by_case(tmp_path):
    held = (Figure(OURS, memory.HELD, (100.0,)), Figure(BARE, memory.HELD, (50.0,)))
    merged = Results((result("memory", *held),)).merged(small_result(), tuple(promises.CASES))
    write(merged, tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == merged
    assert [case.name for case in merged.cases] == ["small", "memory"]


def test_the_table_shows_ours_first_and_names_failures():
    text = table.render(Results((small_result(failures={"mosec": "did not start (oh)"}),)))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| **Slipstream** | 20,000 (18,000 to 22,000) |")
    assert "Failed: mosec: did not start (oh)." in text
    assert "2x mosec in JSON (promised at least 1.6: kept)" in text


def second(**counts):
    return Second(**counts)


def test_an_overload_is_judged_by_what_came_in_time():
    calm = [second(offered=50, sent=50, answered=50, accepted={"10": 50})] * overload.CALM_SECONDS
    hot = second(
        offered=1000, sent=990, answered=100, late=2, refused=890, accepted={"90": 98, "120": 2}, refusals={"2": 890}
    )
    troubled = second(offered=50, sent=50, answered=40, refused=10, accepted={"60": 40}, refusals={"2": 10})
    record = Record()
    overload.judge([*calm, *[hot] * 10, troubled, *calm], 100.0, 10, record)
    figures = {quantity: values[0] for (_, quantity), values in record.figures.items()}
    assert figures[overload.GOODPUT] == pytest.approx(98.0)
    assert (figures[overload.OFFERED], figures[overload.SENT]) == (1000, 990)
    assert (figures[overload.ACCEPTED], figures[overload.REFUSED], figures[overload.RECOVERY]) == (120.0, 2.0, 1.0)


def test_an_overload_that_never_ends_takes_all_the_seconds_there_are():
    bad = second(offered=1, sent=1, refused=1, refusals={"2": 1})
    assert overload.recovery([], [bad] * 7) == 7.0


def test_arrivals_follow_the_schedule():
    due = open_loop.arrivals([(5, 100.0), (10, 1000.0)])
    assert due == sorted(due)
    assert sum(moment < 5 for moment in due) == pytest.approx(500, rel=0.15)
    assert len(due) == pytest.approx(10_500, rel=0.05)


def test_a_latency_counts_in_the_second_it_was_due_and_up_to_2_percent_above():
    seconds = open_loop.by_second([0.5, 0.9, 1.5], [(0, 200, 0.010), (1, 429, 0.001), (2, 0, 0.0)], 2, 0.005)
    assert (seconds[0].offered, seconds[0].late, seconds[0].refused, seconds[1].failed) == (2, 1, 1, 1)
    (edge,) = map(float, seconds[0].accepted)
    assert 10.0 <= edge <= 10.21


def test_the_open_loop_tells_answers_from_refusals(tmp_path):
    class Half(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if body == b"yes" else 429)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments):
            """Keep quiet."""

    class Roomy(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = open_loop.CONNECTIONS

    requests = [f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {len(b)}\r\n\r\n{b}".encode() for b in ("yes", "not")]
    file = wrk.write_requests(tmp_path / "requests", requests)
    assert open_loop.read_requests(file) == requests
    with Roomy(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [sys.executable, "-m", "bench.serving.open_loop", str(server.server_address[1]), str(file), "1:200"]
        done = subprocess.run([*command, "1000"], capture_output=True, text=True, check=True, timeout=60)
        server.shutdown()
    (counted,) = json.loads(done.stdout)
    assert counted["offered"] == counted["sent"] == counted["answered"] + counted["refused"]
    assert abs(counted["answered"] - counted["refused"]) <= 1
    assert counted["failed"] == 0


def test_a_server_is_ended_with_all_it_started(tmp_path):
    child = "import time; time.sleep(600)"
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        "open('child', 'w').write(str(child.pid)); open('ready', 'w')\n"
        "time.sleep(600)"
    )

    def ready(_port):
        return (tmp_path / "ready").exists()

    with processes.serving("x", lambda *_: [sys.executable, "-c", script], ready, tmp_path, {}) as server:
        found = int((tmp_path / "child").read_text())
        os.kill(server.process, 0)
    for process in (server.process, found):
        stat = Path(f"/proc/{process}/stat")
        assert not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_server_that_ends_at_once_is_named_with_its_last_words(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with (
        pytest.raises(BenchError, match=r"x: did not start \(no such model\)"),
        processes.serving("x", lambda *_: command, lambda _port: False, tmp_path, {}),
    ):
        pass


def test_requests_of_the_protocol_carry_the_same_numbers_in_both_forms():
    row = {"features": np.array([[0.1, -2.5]], dtype=np.float32)}
    text = wires.protocol_json("m").request(row)
    document = json.loads(text.split(b"\r\n\r\n")[1])
    assert np.array(document["inputs"][0]["data"], dtype=np.float32).tobytes() == row["features"].tobytes()
    headers, body = wires.protocol_binary("m").encode(row)
    length = int(next(line for line in headers if line.startswith("Inference-Header")).split(": ")[1])
    assert body[length:] == row["features"].tobytes()


def test_zipf_draws_favour_the_first():
    counts = np.bincount(cache.zipf(100, 20_000), minlength=100)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.3)
