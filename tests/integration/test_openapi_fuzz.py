"""Requests made from the OpenAPI document, valid and not, to a real replica: never a fault, always as described.

A long run from the command line, against a replica on port 8000:

    schemathesis run http://127.0.0.1:8000/openapi.json --max-examples 5000 --exclude-checks unsupported_method \
        --exclude-path-regex '/(un)?load$'
"""

import json

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    status_code_conformance,
)

from slipstream_testing.artifacts import passing, write_artifact
from slipstream_testing.replicas import replica

CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance]

INFERENCE = ["/predict", "/v2/models/tiny/infer", "/v2/models/tiny/versions/1/infer"]


@pytest.fixture(scope="module", params=["FP32", "BYTES"])
def document(request, tmp_path_factory):
    """Return the document of a running replica, as what makes requests to it."""
    folder = tmp_path_factory.mktemp("artifact")
    write_artifact(folder, passing([request.param]))
    with replica(folder, objective_milliseconds=10_000, cache_bytes=100_000) as running:
        yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")


def validate(operation, answer):
    """Hold the JSON of an answer to its schema; schemathesis itself stumbles over `prefixItems` in a response."""
    document = operation.schema.raw_schema
    response = operation.definition.raw["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    kind = answer.headers["content-type"][0].split(";")[0]
    if kind == "application/json":
        schema = {**response["content"][kind]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(json.loads(answer.content))


def hold(operation, mode, examples):
    """Send `examples` requests of one operation and hold every answer to the document."""
    codes = set()

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=HealthCheck)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call()
        codes.add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code == 501, answer.text
        case.validate_response(answer, checks=CHECKS)
        validate(operation, answer)
        if answer.status_code >= 400:
            (words,) = json.loads(answer.content).values()
            assert "\n" not in words

    check()
    return codes


@pytest.mark.parametrize("path", INFERENCE)
def test_valid_requests_of_the_document_are_answered_as_it_says(document, path):
    assert 200 in hold(document[path]["POST"], GenerationMode.POSITIVE, 150)


@pytest.mark.parametrize("path", INFERENCE)
def test_invalid_requests_are_refused_as_it_says(document, path):
    assert 400 in hold(document[path]["POST"], GenerationMode.NEGATIVE, 150)


def test_every_other_page_answers_as_it_says(document):
    others = [found.ok() for found in document.get_all_operations() if found.ok().path not in INFERENCE]
    assert len(others) > 15
    for operation in others:
        hold(operation, GenerationMode.POSITIVE, 5)
