"""The memory that one request can take: bounded by a small multiple of its body, whatever the body holds."""

import json
import os
from pathlib import Path

import grpc
import httpx
import pytest

from slipstream_runtime.rpc.wire import delimited, varint
from slipstream_testing.artifacts import passing, write_artifact
from slipstream_testing.replicas import replica

MIB = 1 << 20
BODY = 8 * MIB
INFER = "/v2/models/tiny/infer"


def repeated(unit, before="", after=""):
    """Return a body of nearly the largest size, most of it `unit`."""
    count = (BODY - len(before) - len(after)) // len(unit)
    return before + unit * count + after


def distinct(unit, before="", after=""):
    """Return a body of nearly the largest size, most of it `unit` with ever other short names in place of the mark."""
    return before + ",".join(numbered(lambda name: unit.replace("NAME", name), len(before + after))) + after


def numbered(part, taken):
    """Return as many parts, each made of a name of its own, as a body has room for beside what is `taken`."""
    found, room = [], BODY - taken - 100
    while room > 0:
        found.append(part(f"{len(found):x}"))
        room -= len(found[-1]) + 1
    return found


def sending(data, rows, datatype="FP32"):
    tensor = {"name": f"of_{datatype}", "shape": [rows, 2], "datatype": datatype, "data": []}
    return json.dumps({"inputs": [tensor]}).replace("[]", data)


ROWS = BODY // 16
NAMED = '{"of_FP32":%s}'
GOOD = '{"name":"of_FP32","shape":[1,2],"datatype":"FP32","data":[1,2]'
WHOLE = f'{{"inputs":[{GOOD}}}]'

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
    "names of parameters": (INFER, distinct('"NAME":1', WHOLE + ',"parameters":{', "}}")),
    "names of an input's parameters": (INFER, distinct('"NAME":1', '{"inputs":[' + GOOD + ',"parameters":{', "}}]}")),
    "names of an output's parameters": (
        INFER,
        distinct('"NAME":1', WHOLE + ',"outputs":[{"name":"FP32","parameters":{', "}}]}"),
    ),
    "names of parameters of parameters": (INFER, distinct('"NAME":{"a":1}', WHOLE + ',"parameters":{', "}}")),
    "names of unknown members": (INFER, distinct('"x NAME":1', WHOLE + ",", "}")),
    "names of an input's unknown members": (INFER, distinct('"x NAME":1', '{"inputs":[' + GOOD + ",", "}]}")),
    "names of members of an unknown one": (INFER, distinct('"NAME":1', WHOLE + ',"z":{', "}}")),
    "names of outputs": (INFER, distinct('{"name":"NAME"}', WHOLE + ',"outputs":[', "]}")),
    "names of inputs in the short form": ("/predict", distinct('"NAME":1', "{", "}")),
    "short strings without end": (INFER, repeated('"ab",', sending("[", 1, "BYTES")[:-3], '"ab"]}]}')),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    write_artifact(folder, passing(["FP32", "BYTES"]))
    with replica(folder, objective_milliseconds=10_000, grpc_port=0) as running:
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


def field(number, content):
    return b"".join(delimited(number, content))


def tensor(name, datatype, shape, more=b""):
    """Return one input of a ModelInferRequest; `more` are further fields of it."""
    packed = b"".join(map(varint, shape))
    return field(5, field(1, name.encode()) + field(2, datatype.encode()) + field(3, packed) + more)


def entry(number):
    """Return what makes an entry of the map of parameters that is field `number`."""
    return lambda name: field(number, field(1, name.encode()) + field(2, b"\x08\x01"))


FULL = BODY - 200
NUMBERS = field(5, field(3, b"\1" * FULL))  # packed integers of one byte each
FLOATS = field(5, field(6, b"\0\0\x80?" * (FULL // 4)))
OVER_GRPC = {
    "names of parameters": b"".join(numbered(entry(4), 0)),
    "names of an input's parameters": tensor("of_FP32", "FP32", [1, 2], b"".join(numbered(entry(4), 0))),
    "names of an output's parameters": field(6, field(1, b"FP32") + b"".join(numbered(entry(2), 0))),
    "inputs without end": field(5, b"") * (FULL // 2),
    "outputs without end": field(6, b"") * (FULL // 2),
    "axes without end": tensor("of_FP32", "FP32", [1] * FULL),
    "unpacked axes without end": field(5, field(1, b"of_FP32") + b"\x18\1" * (FULL // 2)),
    "small integers for floats": tensor("of_FP32", "FP32", [1, 2], NUMBERS),
    "small integers in parts": field(5, b"".join([field(5, field(3, b"\1" * (FULL // 64)))] * 63)),
    "floats of another number of rows": tensor("of_FP32", "FP32", [FULL // 8, 2], FLOATS),
    "strings without end": tensor("of_BYTES", "BYTES", [FULL // 4, 2], field(5, field(8, b"") * (FULL // 2))),
    "raw strings without end": tensor("of_BYTES", "BYTES", [FULL // 8, 2]) + field(7, bytes(FULL // 4 * 4)),
}


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel keeps no resettable peak")
@pytest.mark.parametrize("content", OVER_GRPC.values(), ids=OVER_GRPC)
def test_a_refused_message_of_the_largest_size_takes_little_memory(served, content):
    message = field(1, b"tiny") + content
    assert BODY * 0.6 < len(message) <= BODY
    with grpc.insecure_channel(served.grpc_address) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError):
            infer(b"", timeout=60)  # connects
        pid = served.process.pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = resident(pid, "VmRSS")
        with pytest.raises(grpc.RpcError) as refused:
            infer(message, timeout=60)
        grown = resident(pid, "VmHWM") - before
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, refused.value.details()
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
