"""Every datatype of the protocol through a real replica: what is sent comes back, as JSON and as bytes."""

import json

import httpx
import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.encoding import Encoder
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Signature
from slipstream_runtime.protocol.tensors import to_binary
from slipstream_testing.artifacts import passing, write_artifact
from slipstream_testing.replicas import replica


def edges(datatype):
    dtype = NUMPY_TYPES[datatype]
    if datatype == "BYTES":
        return np.array([["", 'a"\\\n\0'], ["ü€😀", "x" * 5000]], dtype=object)
    if datatype == "BOOL":
        return np.array([[True, False], [False, True]])
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    write_artifact(folder, passing(NUMPY_TYPES))
    with replica(folder, cache_bytes=1_000_000) as served, httpx.Client(base_url=served.url) as client:
        yield client


def posted(client, binary, **more):
    """Send every datatype, those in `binary` as bytes."""
    inputs, raw = [], b""
    for datatype in NUMPY_TYPES:
        sent = edges(datatype)
        tensor = {"name": f"of_{datatype}", "shape": sent.shape, "datatype": datatype}
        if datatype in binary:
            inputs.append(tensor | {"parameters": {"binary_data_size": len(to_binary(sent))}})
            raw += to_binary(sent)
        else:
            inputs.append(tensor | {"data": sent.ravel().tolist()})
    header = json.dumps({"inputs": inputs} | more).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    answer = client.post("/v2/models/tiny/infer", content=header + raw, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    "binary", [["FP16"], ["FP16", "BYTES", "BOOL"], list(NUMPY_TYPES)], ids=["json", "both", "binary"]
)
@pytest.mark.parametrize("time", ["computed", "from the cache"])
def test_a_replica_gives_back_every_datatype(client, binary, time):
    for output, (datatype, dtype) in zip(posted(client, binary).json()["outputs"], NUMPY_TYPES.items(), strict=True):
        assert (output["name"], output["datatype"], output["shape"]) == (datatype, datatype, [2, 2])
        assert np.array(output["data"], dtype).tolist() == edges(datatype).ravel().tolist()


def test_a_replica_gives_back_every_datatype_as_bytes(client):
    answer = posted(client, ["FP16"], parameters={"binary_data_output": True})
    assert answer.content.endswith(b"".join(to_binary(edges(datatype)) for datatype in NUMPY_TYPES))


TWO = Signature((), (TensorSpec("a", "FP32", (-1, 1)), TensorSpec("b", "INT8", (-1,))))
ANSWER = (np.array([[1.5], [2.5]], np.float32), np.array([-1, 7], np.int8))


def encoded(*outputs, **more):
    body, length = Encoder("m", TWO).infer(InferRequest((), 2, outputs=outputs, **more), ANSWER)
    return json.loads(body[:length]), b"" if length is None else body[length:]


def test_all_outputs_are_answered_in_order_unless_some_are_asked_for():
    document, _ = encoded()
    assert [output["name"] for output in document["outputs"]] == ["a", "b"]
    document, _ = encoded((1, False))
    assert document["outputs"] == [{"name": "b", "datatype": "INT8", "shape": [2], "data": [-1, 7]}]


def test_binary_outputs_follow_in_the_order_asked_for():
    document, raw = encoded((1, True), (0, True))
    assert [output["parameters"]["binary_data_size"] for output in document["outputs"]] == [2, 8]
    assert raw == ANSWER[1].tobytes() + ANSWER[0].tobytes()


def test_json_and_binary_outputs_mix():
    document, raw = encoded((0, True), (1, False))
    assert "data" not in document["outputs"][0]
    assert document["outputs"][1]["data"] == [-1, 7]
    assert raw == ANSWER[0].tobytes()


@pytest.mark.parametrize("text", ["", "plain", 'quote " and \\', "ü\u2028\0", "x" * 1024])
def test_the_id_is_echoed_whatever_it_holds(text):
    document, _ = encoded(id=text)
    assert document["id"] == text


def test_answers_have_no_id_unless_one_was_sent():
    assert "id" not in encoded()[0]


def test_rows_that_are_no_contiguous_memory_are_written_right():
    signature = Signature((), (TensorSpec("a", "FP32", (-1, 2)),))
    array = np.arange(8, dtype=np.float32).reshape(4, 2)[::2]
    body, _ = Encoder("m", signature).infer(InferRequest((), 2), (array,))
    assert json.loads(body)["outputs"][0]["data"] == [0, 1, 4, 5]
    assert json.loads(Encoder("m", signature).named((array.T,)))["a"] == [[0, 4], [1, 5]]


def test_a_number_without_axes_is_a_list_of_one_in_the_short_form():
    signature = Signature((), (TensorSpec("a", "FP32", ()),))
    assert Encoder("m", signature).named((np.float32(2).reshape(()),)) == b'{"a":[2.0]}'
