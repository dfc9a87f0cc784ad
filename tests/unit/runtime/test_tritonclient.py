"""Triton's own client, unchanged, over both protocols, blocking and asynchronous, against real replica processes."""

import queue

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from slipstream_runtime.protocol.signature import NUMPY_TYPES
from slipstream_testing.artifacts import passing, write_artifact
from slipstream_testing.replicas import replica

ROWS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)


@pytest.fixture(scope="module")
def numbers(artifact):
    with replica(artifact, grpc_port=0) as running:
        yield running


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    write_artifact(folder, passing(NUMPY_TYPES))
    with replica(folder, grpc_port=0) as running:
        yield running


@pytest.fixture(params=["http", "grpc"])
def library(request):
    return {"http": tritonclient.http, "grpc": tritonclient.grpc}[request.param]


def address(running, library):
    return running.grpc_address if library is tritonclient.grpc else f"127.0.0.1:{running.port}"


def tensor(library, name, array, datatype, **how):
    sent = library.InferInput(name, list(array.shape), datatype)
    sent.set_data_from_numpy(array, **how)
    return sent


def rows_of(dtype):
    return np.array([[1, 0], [0, 1]]).astype(dtype)


def features(library, **how):
    return [tensor(library, "features", ROWS, "FP32", **how)]


@pytest.fixture
def client(numbers, library):
    with library.InferenceServerClient(address(numbers, library)) as client:
        yield client


def test_the_server_is_live_and_ready_and_tells_about_its_model(client, library):
    as_json = {} if library is tritonclient.http else {"as_json": True}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert client.get_server_metadata(**as_json)["name"] == "slipstream"
    metadata = client.get_model_metadata("tiny", **as_json)
    assert [int(size) for size in metadata["inputs"][0]["shape"]] == [-1, 8]
    config = client.get_model_config("tiny", **as_json)
    config = config.get("config", config)
    assert [int(size) for size in config["input"][0]["dims"]] == [8]
    assert int(config["max_batch_size"]) >= 1


def test_answers_are_the_same_over_both_protocols_in_every_form(numbers):
    found = []
    for library in (tritonclient.http, tritonclient.grpc):
        forms = [{}] if library is tritonclient.grpc else [{"binary_data": True}, {"binary_data": False}]
        with library.InferenceServerClient(address(numbers, library)) as client:
            for form in forms:
                outputs = [library.InferRequestedOutput("scores", **form)]
                result = client.infer("tiny", features(library, **form), outputs=outputs, request_id="7")
                found.append(result.as_numpy("scores"))
                response = result.get_response()
                assert (response["id"] if isinstance(response, dict) else response.id) == "7"
            found.append(client.infer("tiny", features(library)).as_numpy("scores"))
    assert found[0].shape == (3, 3)
    assert all(np.array_equal(found[0], each) for each in found[1:])


def test_many_requests_at_a_time(client, library):
    if library is tritonclient.http:
        waiting = [client.async_infer("tiny", features(library)) for _ in range(20)]
        results = [each.get_result() for each in waiting]
    else:
        results = queue.SimpleQueue()
        for _ in range(20):
            client.async_infer("tiny", features(library), lambda result, error: results.put(error or result))
        results = [results.get(timeout=10) for _ in range(20)]
    assert len({result.as_numpy("scores").tobytes() for result in results}) == 1


def test_a_timeout_in_microseconds_is_understood(client, library):
    assert client.infer("tiny", features(library), timeout=5_000_000).as_numpy("scores").shape == (3, 3)


def test_errors_reach_the_caller_in_the_client_s_own_form(client, library):
    with pytest.raises(InferenceServerException, match="no such model"):
        client.infer("other", features(library))
    with pytest.raises(InferenceServerException, match="does not fit"):
        client.infer("tiny", [tensor(library, "features", ROWS[:, :5], "FP32")])
    with pytest.raises(InferenceServerException, match="datatype must be FP32"):
        client.infer("tiny", [tensor(library, "features", ROWS.astype(np.float64), "FP64")])
    with pytest.raises(InferenceServerException, match="the model gives scores"):
        client.infer("tiny", features(library), outputs=[library.InferRequestedOutput("other")])
    with pytest.raises(InferenceServerException):
        client.load_model("tiny")


def test_statistics_grow_with_what_is_asked(client, library):
    def rows():
        found = client.get_inference_statistics("tiny", **({} if library is tritonclient.http else {"as_json": True}))
        return int(found["model_stats"][0]["inference_count"])

    before = rows()
    client.infer("tiny", features(library))
    assert rows() == before + 3


def test_every_datatype_goes_there_and_back(everything, library):
    words = np.array([["Müller", ""], ["a b", "日本"]], dtype=object)
    sent = {name: words if name == "BYTES" else rows_of(NUMPY_TYPES[name]) for name in NUMPY_TYPES}
    inputs = [tensor(library, f"of_{name}", array, name) for name, array in sent.items()]
    with library.InferenceServerClient(address(everything, library)) as client:
        result = client.infer("tiny", inputs)
    for name, array in sent.items():
        answered = result.as_numpy(name)
        if name == "BYTES":
            answered = np.array([[text.decode() for text in row] for row in answered], dtype=object)
        assert np.array_equal(answered, array), name


@pytest.mark.parametrize("library", [tritonclient.http.aio, tritonclient.grpc.aio])
async def test_the_asynchronous_clients(numbers, library):
    plain = tritonclient.grpc if library is tritonclient.grpc.aio else tritonclient.http
    async with library.InferenceServerClient(address(numbers, plain)) as client:
        assert await client.is_server_ready()
        assert await client.is_model_ready("tiny")
        result = await client.infer("tiny", features(plain))
        assert result.as_numpy("scores").shape == (3, 3)
        assert (await client.get_model_metadata("tiny")) is not None
        with pytest.raises(InferenceServerException, match="no such model"):
            await client.infer("other", features(plain))


async def test_a_stream_of_requests(numbers):
    async def requests():
        for number in range(5):
            yield {"model_name": "tiny", "inputs": features(tritonclient.grpc), "request_id": str(number)}

    async with tritonclient.grpc.aio.InferenceServerClient(numbers.grpc_address) as client:
        seen = [(result.get_response().id, error) async for result, error in client.stream_infer(requests())]
    assert sorted(seen) == [(str(number), None) for number in range(5)]
