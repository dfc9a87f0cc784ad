"""The memory that one request can take: bounded by a small multiple of its body, whatever the body holds."""

import json
import os
from pathlib import Path

import httpx
import pytest

from slipstream_testing.artifacts import passing, write_artifact
from slipstream_testing.replicas import replica

MIB = 1 << 20
BODY = 8 * MIB
INFER = "/v2/models/tiny/infer"


def repeated(unit, before="", after=""):
    """Return a body of nearly the largest size, most of it `unit`."""
    count = (BODY - len(before) - len(after)) // len(unit)
    return before + unit * count + after


def sending(data, rows, datatype="FP32"):
    tensor = {"name": f"of_{datatype}", "shape": [rows, 2], "datatype": datatype, "data": []}
    return json.dumps({"inputs": [tensor]}).replace("[]", data)


ROWS = BODY // 16
NAMED = '{"of_FP32":%s}'

REFUSED = {
    "a list of numbers of another length": (INFER, sending("[" + "1," * (BODY // 2 - 100) + "1]", 1)),
    "rows of one number": (INFER, sending("[" + "[1]," * (BODY // 4 - 100) + "[1]]", 1)),
    "truths for numbers": (INFER, sending("[" + "true," * (BODY // 5 - 100) + "true]", ROWS)),
    "long numbers out of range": (INFER, sending("[" + "1e39," * (BODY // 5 - 100) + "1e39]", (BODY // 5 - 99) // 2)),
    "empty lists": ("/predict", NAMED % ("[" + "[]," * (BODY // 3 - 100) + "[]]")),
    "ragged lists": ("/predict", NAMED % ("[" + "[1,2]," * (BODY // 6 - 100) + "[1]]")),
    "deep lists": ("/predict", repeated("[", '{"of_FP32":')),
    "inputs without end": (INFER, repeated('{"name":"","shape":[],"datatype":""},', '{"inputs":[', "{}]}")),
    "axes without end": (INFER, repeated("1,", '{"inputs":[{"name":"x","datatype":"FP32","shape":[', "1]}]}")),
    "members without end": (INFER, repeated('"a":{},', '{"z":{', '"a":{}},"inputs":[]}')),
    "parameters without end": (INFER, repeated('"a":1,', '{"inputs":[],"parameters":{', '"a":1}}')),
    "outputs without end": (INFER, repeated('{"name":"FP32"},', sending("[1,2]", 1)[:-1] + ',"outputs":[', "{}]}")),
    "an id without end": (INFER, repeated("x", sending("[1,2]", 1)[:-1] + ',"id":"', '"}')),
    "short strings without end": (INFER, repeated('"ab",', sending("[", 1, "BYTES")[:-3], '"ab"]}]}')),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    write_artifact(folder, passing(["FP32", "BYTES"]))
    with replica(folder, objective_milliseconds=10_000) as running:
        httpx.get(f"{running.url}/v2")  # loads the pages
        yield running


def resident(pid, what):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def peak(served, path, content):
    """Return the most memory above its rest that the replica held at a time, and its answer."""
    pid = served.process.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak so far
    before = resident(pid, "VmRSS")
    answer = httpx.post(f"{served.url}{path}", content=content, timeout=60)
    return resident(pid, "VmHWM") - before, answer


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel keeps no resettable peak")
@pytest.mark.parametrize(("path", "content"), REFUSED.values(), ids=REFUSED)
def test_a_refused_body_of_the_largest_size_takes_little_memory(served, path, content):
    assert BODY * 0.6 < len(content) <= BODY
    grown, answer = peak(served, path, content.encode())
    assert answer.status_code == 400, answer.text[:300]
    assert len(answer.content) < 500
    assert grown < 10 * BODY


def test_rows_that_fill_the_largest_body_are_answered_in_bounded_memory(tmp_path):
    write_artifact(tmp_path, passing(["FP32"]))
    rows = BODY // 9
    content = sending("[" + "0.5,0.25," * (rows - 20) + "0.5,0.25]", rows - 19).encode()
    with replica(tmp_path, objective_milliseconds=60_000) as served:
        grown, answer = peak(served, INFER, content)
    assert answer.status_code == 200
    (output,) = answer.json()["outputs"]
    assert output["data"][:3] == [0.5, 0.25, 0.5]
    assert len(output["data"]) == 2 * (rows - 19)
    assert grown < 12 * BODY
