"""The pages beside the infer path: what they tell, that they need no network, and that there are no others."""

import dataclasses
import re
import subprocess

import httpx
import pytest

from slipstream_contract import codec
from slipstream_contract.manifest import MANIFEST_FILE, MetricEstimate, TensorSpec
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rest.api import build_api
from slipstream_runtime.rest.openapi import REFUSALS, openapi_document
from slipstream_runtime.rest.pages.card_page import card_page
from slipstream_runtime.rest.pages.examples import commands
from slipstream_runtime.rest.pages.served import Served
from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.replicas import replica

ROW = [0.5] * 8


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Return a manifest with two variants and a measured metric, written as an artifact."""
    folder = tmp_path_factory.mktemp("proved")
    found = write_artifact(folder, mlp())
    (original,) = found.variants
    original = dataclasses.replace(original, metric=MetricEstimate(0.931, 0.925, 0.937))
    small = dataclasses.replace(original, name="int8", compression_ratio=0.29, drop=0.0021, drop_bound=0.008)
    found = dataclasses.replace(found, variants=(original, small), metric="accuracy")
    (folder / MANIFEST_FILE).write_bytes(codec.canonical_json(found))
    return folder, found


@pytest.fixture(scope="module")
def proved(manifest):
    with replica(manifest[0], objective_milliseconds=500) as running:
        yield running


@pytest.fixture(scope="module")
def client(proved):
    with httpx.Client(base_url=proved.url) as client:
        yield client


def served(manifest, **change):
    found = Served("tiny", manifest[1], "d" * 64, lambda: "original", 128, keys=False)
    return dataclasses.replace(found, **change)


def test_the_configuration_has_tritons_form(client):
    for path in ("/v2/models/tiny/config", "/v2/models/tiny/versions/1/config"):
        config = client.get(path).json()
        assert (config["backend"], config["max_batch_size"]) == ("onnxruntime", 128)
        assert config["input"] == [{"name": "features", "data_type": "TYPE_FP32", "dims": [8]}]
        assert config["output"] == [{"name": "scores", "data_type": "TYPE_FP32", "dims": [3]}]


def test_statistics_count_rows_batches_and_failures(client):
    def stats():
        (one,) = client.get("/v2/models/tiny/stats").json()["model_stats"]
        return one

    before = stats()
    assert client.post("/predict", json={"features": [ROW] * 3}).status_code == 200
    assert client.post("/predict", json={"features": "none"}).status_code == 400
    after = stats()
    assert after["inference_count"] == before["inference_count"] + 3
    assert after["execution_count"] == before["execution_count"] + 1
    for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
        assert after["inference_stats"][name]["count"] >= before["inference_stats"][name]["count"] + 1, name
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]
    assert client.get("/v2/models/stats").json()["model_stats"] == [stats()]


def test_the_repository_is_listed_and_never_changed(client):
    (one,) = client.post("/v2/repository/index", json={"ready": True}).json()
    assert one == {"name": "tiny", "version": "1", "state": "READY", "reason": ""}
    for model in ("tiny", "other"):
        for action in ("load", "unload"):
            answer = client.post(f"/v2/repository/models/{model}/{action}")
            assert answer.status_code == 501
            assert "only from the verified artifact" in answer.json()["error"]


def test_the_card_tells_what_was_proved(client):
    card = client.get("/v2/models/tiny/card").json()
    assert card["variant"] == "original"
    assert card["variants"][1]["metric"] == {"value": 0.931, "low": 0.925, "high": 0.937}
    page = client.get("/").text
    for text in ("accuracy", "0.9310", "0.9250 to 0.9370", "+0.21%", "0.290", card["artifact"], "987 B"):
        assert text in page, text


def test_the_commands_of_the_card_work_as_they_stand(client, tmp_path):
    for example in client.get("/v2/models/tiny/card").json()["examples"]:
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {example['command']} --fail"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, example
        assert done.stdout.startswith(b"{") or (tmp_path / "answer.bin").stat().st_size > 12


def test_pages_load_nothing_from_anywhere_and_run_no_script(client):
    for path in ("/", "/docs"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script|<link|<img|@import|url\(|\bon\w+=", answer.text)
        assert set(re.findall(r'(?:src|href)="([^"]*)"', answer.text)) <= {"/", "/docs", "/openapi.json"}


def test_docs_show_every_page_and_schema(client):
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for name in (*document["paths"], *document["components"]["schemas"]):
        assert name in page


@pytest.mark.parametrize("host", ["evil.example/$(reboot)", "a b", "x'y", "<script>", "a:b:c", "[::1", ""])
def test_a_strange_host_never_gets_into_a_command(client, host):
    try:
        answer = client.get("/v2/models/tiny/card", headers={"Host": host})
    except httpx.LocalProtocolError:
        return
    if answer.status_code == 200:
        assert all("http://localhost:8000/" in one["command"] for one in answer.json()["examples"])


def test_names_are_text_wherever_they_are_shown():
    bad = "<img src=x onerror=alert(1)>"
    numbers = {"bytes": 1, "compressionRatio": 1.0, "metric": None, "latency": {"alphaSeconds": 1, "betaSeconds": 1}}
    card = dict.fromkeys(("model", "variant", "artifact", "source", "metric"), bad)
    card |= {"variants": [{"name": bad, **numbers}], "inputs": [{"name": bad, "datatype": bad, "shape": []}]}
    card |= {"outputs": [], "examples": [{"title": bad, "command": bad}]}
    assert "<img" not in card_page(card)


def test_commands_carry_the_token_when_one_is_asked_for():
    signature = Signature((TensorSpec("x", "FP32", (-1, 2)),), ())
    _, *gated = commands(signature, "m", "http://here", keys=True)
    assert all('"Authorization: Bearer $TOKEN"' in command for _, command in gated)


def test_models_too_large_for_an_example_in_json_get_one_in_bytes():
    signature = Signature((TensorSpec("x", "FP32", (-1, 3, 224, 224)),), ())
    assert [title for title, _ in commands(signature, "m", "http://here", keys=False)] == [
        "Is it ready?",
        "Raw bytes, the fastest",
    ]


INFERENCE = {("POST", "/predict"), ("POST", "/v2/models/tiny/infer"), ("POST", "/v2/models/tiny/versions/1/infer")}


def documented(document):
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def test_the_pages_are_exactly_those_documented(manifest):
    health, telemetry = Health(lambda: 0.0), Telemetry(0.1)
    app = build_api(served(manifest), health, telemetry)
    routed = {(method, route.path) for route in app.routes for method in route.methods - {"HEAD"}}
    assert routed | INFERENCE == documented(openapi_document(served(manifest), "1"))


def test_every_documented_page_answers(client):
    document = client.get("/openapi.json").json()
    for method, path in documented(document) - INFERENCE:
        answer = client.request(method, path)
        assert str(answer.status_code) in document["paths"][path][method.lower()]["responses"], path
        assert answer.status_code in {200, 501}


ELSEWHERE = [
    "/admin", "/models", "/metrics", "/v2/systemsharedmemory/status", "/v2/cudasharedmemory/status", "/v2/logging",
    "/v2/trace/setting", "/v2/repository/models/tiny", "/debug/pprof", "/redoc", "/v1/models/tiny", "/livez",
    "/api/jobs/", "/docs/oauth2-redirect", "/v2/models/tiny/versions/1/load", "/static/x", "/.env",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_what_other_servers_have_is_not_here(client, path):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, path).status_code in {404, 405}, method


def test_the_document_names_every_error_with_its_schema(manifest):
    document = openapi_document(served(manifest, keys=True), "1")
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    for path in ("/predict", "/v2/models/tiny/infer"):
        assert set(document["paths"][path]["post"]["responses"]) == {"200", *REFUSALS} - {"404"}
    assert "Retry-After" in document["components"]["responses"]["Overloaded"]["headers"]
    assert document["paths"]["/v2/health/live"]["get"]["security"] == []
