"""The log: lines that machines and people read, never what callers sent, and no flood."""

import json
import logging
import re
import subprocess

import httpx
import pytest

from slipstream_runtime.observing.logs import BURST, WINDOW_SECONDS, JsonFormatter, RateLimit, TextFormatter
from slipstream_testing.artifacts import looking_up, mlp, write_artifact
from slipstream_testing.replicas import PATIENT, arguments, replica

MARK = 86420975
TOKEN = "s3cr3t-t0ken-for-the-log"


def record(line=1, words="it failed", **more):
    made = logging.LogRecord("slipstream_runtime.rest", logging.ERROR, "file.py", line, words, (), None)
    made.__dict__.update(more)
    return made


def failure():
    try:
        raise ValueError(f"cannot use {MARK}")
    except ValueError as error:
        return type(error), error, error.__traceback__


def test_a_json_line_has_the_record_s_own_fields():
    line = json.loads(JsonFormatter().format(record(variant="small")))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("ts"))
    assert line == {
        "level": "error",
        "logger": "slipstream_runtime.rest",
        "message": "it failed",
        "variant": "small",
    }


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_exception_is_told_in_one_line_by_its_place_and_not_its_words(formatter):
    line = formatter.format(record(exc_info=failure()))
    assert "ValueError < test_logs.py:" in line
    assert str(MARK) not in line
    assert "\n" not in line


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_line_break_in_a_message_stays_within_the_line(formatter):
    assert "\n" not in formatter.format(record(words="first\nsecond\r\nthird"))


def test_a_storm_is_told_by_a_few_lines_and_a_number():
    now = [0.0]
    limit = RateLimit(lambda: now[0])
    assert [limit.filter(record()) for _ in range(1000)].count(True) == BURST
    assert limit.filter(record(line=2))  # of another kind
    now[0] += WINDOW_SECONDS
    last = record()
    assert limit.filter(last)
    assert TextFormatter().format(last).endswith(f"({1000 - BURST} more like this were left out)")


def test_what_callers_send_never_reaches_the_log(tmp_path):
    write_artifact(tmp_path, looking_up())
    with replica(tmp_path, log_format="json", objective_milliseconds=PATIENT) as running:
        headers = {"authorization": f"Bearer {TOKEN}", "x-mark": str(MARK)}
        with httpx.Client(base_url=running.url, headers=headers) as client:
            bad = {"index": [[MARK]]}  # the model itself fails on it
            codes = {client.post("/predict", json=bad).status_code for _ in range(300)}
            client.post("/predict", json={str(MARK): [[1]]})
            client.post("/predict", content=f'{{"index": [[{MARK}')
            client.post(f"/v2/models/{MARK}/infer", json={})
        assert codes == {500}
        running.process.terminate()
        lines = running.process.stderr.read().splitlines()
    assert str(MARK) not in "".join(lines)
    assert TOKEN not in "".join(lines)
    assert any("the session failed on a request" in json.loads(line)["message"] for line in lines)
    assert len(lines) < 20


def test_json_is_chosen_on_the_command_line(tmp_path):
    write_artifact(tmp_path, mlp())
    command = arguments(tmp_path, log_format="json", processes=2)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "2 processes" in json.loads(process.stderr.readline())["message"]
        process.terminate()
        assert "stopping" in json.loads(process.stderr.readline())["message"]
        assert process.wait(timeout=30) == 0
