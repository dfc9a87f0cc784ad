"""A real replica, spoken to over HTTP: the protocol's forms, and bad input."""

import json

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipstream_contract import metrics

ROW = [0.5] * 8
INFER = "/v2/models/tiny/infer"


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url) as client:
        yield client


def body(**more):
    return {"inputs": [{"name": "features", "shape": [1, 8], "datatype": "FP32", "data": ROW}], **more}


def binary_body(array, **more):
    raw = array.tobytes()
    tensor = {"name": "features", "shape": array.shape, "datatype": "FP32"}
    document = {"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}], **more}
    header = json.dumps(document).encode()
    return header + raw, {"Inference-Header-Content-Length": str(len(header))}


def test_server_and_model_metadata_have_the_forms_of_the_protocol(client):
    server = client.get("/v2").json()
    assert server["name"] == "slipstream"
    assert "binary_tensor_data" in server["extensions"]
    model = {
        "name": "tiny",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 8]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert client.get("/v2/models/tiny").json() == model
    assert client.get("/v2/models/tiny/versions/1").json() == model
    assert client.get("/v2/models").json() == {"models": ["tiny"]}


def test_health_has_the_forms_of_the_protocol(client, served):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}
    assert httpx.get(f"{served.metrics_url}/livez").status_code == 200
    assert httpx.get(f"{served.metrics_url}/readyz").status_code == 200


def test_docs_show_the_infer_pages(client):
    assert client.get("/docs").status_code == 200
    paths = client.get("/openapi.json").json()["paths"]
    assert {INFER, "/predict"} <= set(paths)


def test_an_inference_echoes_the_id_and_names_the_model(client):
    answer = client.post(INFER, json=body(id="42")).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("tiny", "1", "42")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [1, 3])
    assert len(output["data"]) == 3


def test_all_forms_of_a_request_give_the_same_answer(client):
    plain = client.post(INFER, json=body()).json()["outputs"][0]["data"]
    versioned = client.post("/v2/models/tiny/versions/1/infer", json=body()).json()["outputs"][0]["data"]
    short = client.post("/predict", json={"features": [ROW]}).json()["scores"][0]
    content, headers = binary_body(np.array([ROW], np.float32))
    from_binary = client.post(INFER, content=content, headers=headers).json()["outputs"][0]["data"]
    assert plain == versioned == short == from_binary


def test_binary_outputs_follow_their_header(client):
    content, headers = binary_body(np.array([ROW, ROW], np.float32), parameters={"binary_data_output": True})
    answer = client.post(INFER, content=content, headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == len(answer.content) - length == 2 * 3 * 4
    scores = np.frombuffer(answer.content[length:], "<f4").reshape(output["shape"])
    plain = client.post(INFER, json=body()).json()["outputs"][0]["data"]
    assert np.array_equal(scores[0], np.array(plain, np.float32))


def test_one_output_can_be_asked_for_in_binary(client):
    answer = client.post(INFER, json=body(outputs=[{"name": "scores", "parameters": {"binary_data": True}}]))
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_body_without_json_is_one_raw_tensor(client):
    raw = np.array([ROW], "<f4").tobytes()
    answer = client.post(INFER, content=raw, headers={"Inference-Header-Content-Length": "0"})
    length = int(answer.headers["inference-header-content-length"])
    assert len(answer.content) - length == 12


def test_more_rows_than_a_batch_holds_are_answered_in_order(client):
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    together = client.post("/predict", json={"features": rows.tolist()}).json()["scores"]
    alone = client.post("/predict", json={"features": rows[299:].tolist()}).json()["scores"]
    assert len(together) == 300
    assert together[299] == pytest.approx(alone[0], rel=1e-5)


def tensors(**change):
    return {"inputs": [body()["inputs"][0] | change]}


BAD = {
    "NaN": (INFER, b'{"inputs":[{"name":"features","shape":[1,8],"datatype":"FP32","data":[NaN]}]}', {}, 400),
    "wrong datatype": (INFER, json.dumps(tensors(datatype="FP64")), {}, 400),
    "wrong shape": (INFER, json.dumps(tensors(shape=[1, 9])), {}, 400),
    "negative shape": (INFER, json.dumps(tensors(shape=[-1, 8])), {}, 400),
    "truncated JSON": (INFER, b'{"inputs":', {}, 400),
    "not UTF-8": (INFER, b'{"inputs": "\xff\xfe"}', {}, 400),
    "truncated binary": (INFER, *binary_body(np.zeros((1, 7), np.float32)), 400),
    "header length past the body": (INFER, b"{}", {"Inference-Header-Content-Length": "9"}, 400),
    "header length not a number": (INFER, b"{}", {"Inference-Header-Content-Length": "-1"}, 400),
    "deep nesting": (INFER, b'{"inputs":' + b"[" * 1_000_000, {}, 400),
    "deep short form": ("/predict", b'{"features":' + b"[" * 500 + b"]" * 500 + b"}", {}, 400),
    "binary short form": ("/predict", b"", {"Inference-Header-Content-Length": "0"}, 400),
    "empty": (INFER, b"", {}, 400),
    "too large": (INFER, b" " * (8 * 1024 * 1024 + 1), {}, 413),
    "compressed": (INFER, b"{}", {"Content-Encoding": "gzip"}, 415),
    "unknown encoding": (INFER, b"{}", {"Content-Encoding": "x-mystery"}, 415),
    "unknown model": ("/v2/models/other/infer", b"{}", {}, 404),
    "unknown version": ("/v2/models/tiny/versions/2/infer", b"{}", {}, 404),
    "unknown page": ("/v2/systemsharedmemory/status", b"{}", {}, 404),
}


@pytest.mark.parametrize(("path", "content", "headers", "code"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_line_and_leaves_the_replica_well(client, path, content, headers, code):
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code == code
    (words,) = answer.json().values()
    assert list(answer.json()) == ["error"]
    assert "\n" not in words
    assert not any(leak in words for leak in ("Traceback", ".py", "manifest", "onnx", "0x", "slipstream"))
    assert client.post(INFER, json=body()).status_code == 200


def test_a_streamed_body_over_the_cap_is_refused(client):
    def chunks():
        for _ in range(9):
            yield b" " * 1024 * 1024

    assert client.post(INFER, content=chunks()).status_code == 413


def test_infer_takes_post_only(client):
    assert client.get(INFER).status_code == 405


def test_unknown_models_are_named_in_the_metadata_error(client):
    answer = client.get("/v2/models/other")
    assert (answer.status_code, answer.json()["error"][:18]) == (404, "no such model, ver")


def test_metrics_are_well_formed_and_count(client, served):
    def sample(name, **labels):
        text = httpx.get(f"{served.metrics_url}/metrics").text
        for family in text_string_to_metric_families(text):
            for found in family.samples:
                if found.name == name and labels.items() <= found.labels.items():
                    return found.value
        raise AssertionError(f"{name} {labels} is missing")

    before = sample(f"{metrics.REQUEST_SECONDS}_count", code="200")
    rows, hits = sample(metrics.ROWS_TOTAL), sample(metrics.CACHE_HITS_TOTAL)
    for _ in range(2):
        client.post("/predict", json={"features": [[9.0] * 8]})
    assert sample(f"{metrics.REQUEST_SECONDS}_count", code="200") == before + 2
    assert sample(f"{metrics.REQUEST_SECONDS}_bucket", code="200", le="+Inf") == before + 2
    assert sample(f"{metrics.REQUEST_SECONDS}_bucket", code="200", le="0.1") <= before + 2
    assert sample(metrics.ROWS_TOTAL) == rows + 2
    assert sample(metrics.CACHE_HITS_TOTAL) == hits + 1
    assert sample(metrics.INFO, model="tiny", variant="original") == 1
    for name in (metrics.BUSY_SECONDS_TOTAL, metrics.CPU_SECONDS_TOTAL, metrics.LATENCY_ALPHA_SECONDS):
        assert sample(name) > 0
    for name in (metrics.QUEUE_SECONDS, metrics.COMPUTE_SECONDS, metrics.BATCH_ROWS):
        assert sample(f"{name}_count") > 0
    assert sample(metrics.REJECTED_TOTAL, reason="overload") == 0
