"""Writes the OpenAPI document: every page, with the model's own names, datatypes and shapes. Pure."""

from typing import Any

from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.rest.pages.examples import infer_example, predict_example
from slipstream_runtime.rest.pages.schemas import Schema, reference, schemas
from slipstream_runtime.rest.pages.served import Served

JSON, BINARY, HTML = "application/json", "application/octet-stream", "text/html"

TAGS = {
    "inference": "Inference",
    "model": "The model",
    "server": "The server",
    "repository": "Model repository",
}

REFUSALS = {
    "400": ("Malformed", "The request is malformed or does not fit the model; the line says where."),
    "401": ("Unauthenticated", "No bearer token, or one that is not known."),
    "403": ("Forbidden", "The caller is known and may not use this model."),
    "404": ("NotFound", "No such model, version or page."),
    "405": ("NotAllowed", "The page does not take that method."),
    "411": ("LengthRequired", "Neither Content-Length nor chunks."),
    "413": ("TooLarge", "The body is over the limit."),
    "414": ("AddressTooLong", "The address is too long."),
    "415": ("BadEncoding", "The body is compressed."),
    "429": ("Overloaded", "The answer would come after the deadline."),
    "431": ("HeadersTooLarge", "The headers are too large."),
    "500": ("Failed", "The model failed on this request, or its answer is not finite."),
    "501": ("Unsupported", "The protocol has it, this replica does not."),
    "503": ("Unavailable", "What the replica needs to answer is away or taken for now."),
    "504": ("DeadlinePassed", "The deadline passed while the request waited."),
}
"""Every answer other than 200 by code: the name of its component, and what it means."""

OF_EVERY_PAGE = ("401", "403", "405", "414", "431", "500", "503")
OF_INFERENCE = tuple(code for code in REFUSALS if code != "404")

HEADER_LENGTH: Schema = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "Bytes of the JSON part before the binary tensors; 0 for one raw tensor without JSON.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 8 << 20},
}


def openapi_document(served: Served, version: str) -> dict[str, Any]:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Slipstream: {served.model}",
            "version": version,
            "description": "Open Inference Protocol v2, with the binary tensor extension, and a short form for people.",
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "security": [{"bearer": []}] if served.keys else [],
        "paths": paths(served),
        "components": {
            "schemas": schemas(served),
            "responses": {name: _refusal(code, text) for code, (name, text) in REFUSALS.items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def paths(served: Served) -> dict[str, dict[str, Any]]:
    """Return every page by path and method."""
    model = f"/v2/models/{served.model}"
    version = f"{model}/versions/{MODEL_VERSION}"
    infer, ready = _infer(served), _page("model", "Is the model ready?", codes=("503",))
    found: dict[str, dict[str, Any]] = {
        "/": _page("server", "Model card, for people", kind=HTML),
        "/docs": _page("server", "This documentation", kind=HTML),
        "/openapi.json": _page("server", "This documentation, for programs"),
        "/v2": _page("server", "Server metadata"),
        "/v2/health/live": _page("server", "Does the server live?", gated=False),
        "/v2/health/ready": _page("server", "Is the server ready?", gated=False),
        "/v2/models": _page("server", "The names of the models"),
        "/v2/models/stats": _page("model", "Statistics of every model, in Triton's form"),
        f"{model}/card": _page("model", "Model card, for programs"),
        f"{version}/infer": infer,
        f"{model}/infer": infer,
        "/predict": _predict(served),
        "/v2/repository/index": _index(),
        f"/v2/repository/models/{served.model}/load": _refused("Load a model"),
        f"/v2/repository/models/{served.model}/unload": _refused("Unload a model"),
    }
    for base in (model, version):
        found[base] = _page("model", "Model metadata")
        found[f"{base}/ready"] = ready
        found[f"{base}/config"] = _page("model", "Model configuration, in Triton's form")
        found[f"{base}/stats"] = _page("model", "Statistics, in Triton's form")
    return found


def _infer(served: Served) -> dict[str, Any]:
    sent: dict[str, Any] = {"schema": reference("InferRequest")}
    example = infer_example(served.signature)
    if example is not None:
        sent["example"] = example
    raw: Schema = {"schema": {"type": "string", "format": "binary"}}
    answer = {
        JSON: {"schema": reference("InferResponse")},
        BINARY: {"schema": {"type": "string", "format": "binary"}},
    }
    text = (
        "Binary tensors follow the JSON in the order in which it names them, little-endian; so they do in the answer."
    )
    operation = _operation("inference", "Infer (Open Inference Protocol v2)", answer, OF_INFERENCE)
    body = {"required": True, "content": {JSON: sent, BINARY: raw}}
    return {"post": operation | {"description": text, "parameters": [HEADER_LENGTH], "requestBody": body}}


def _predict(served: Served) -> dict[str, Any]:
    sent: dict[str, Any] = {"schema": reference("PredictRequest")}
    example = predict_example(served.signature)
    if example is not None:
        sent["example"] = example
    text = (
        "One nested list for each input, one for each output. A single row may leave the batch axis out of every list."
    )
    answer = {JSON: {"schema": reference("PredictResponse")}}
    operation = _operation("inference", "Predict: named inputs, named outputs", answer, OF_INFERENCE)
    return {"post": operation | {"description": text, "requestBody": {"required": True, "content": {JSON: sent}}}}


def _page(
    tag: str, summary: str, *, kind: str = JSON, codes: tuple[str, ...] = (), gated: bool = True
) -> dict[str, Any]:
    schema: Schema = {"type": "string"} if kind == HTML else {"type": "object"}
    operation = _operation(tag, summary, {kind: {"schema": schema}}, (*OF_EVERY_PAGE, *codes))
    if not gated:
        operation["security"] = []
        for code in ("401", "403"):
            del operation["responses"][code]
    return {"get": operation}


def _index() -> dict[str, Any]:
    entry = {"type": "object", "required": ["name", "version", "state", "reason"]}
    content = {JSON: {"schema": {"type": "array", "items": entry}}}
    return {"post": _operation("repository", "List the models", content, OF_EVERY_PAGE)}


def _refused(summary: str) -> dict[str, Any]:
    operation = _operation("repository", summary, {}, (*OF_EVERY_PAGE, "501"))
    operation["description"] = "Always refused: models come only from the verified artifact that the replica was given."
    del operation["responses"]["200"]
    return {"post": operation}


def _operation(tag: str, summary: str, content: dict[str, Any], codes: tuple[str, ...]) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    for code in sorted(codes):
        responses[code] = {"$ref": f"#/components/responses/{REFUSALS[code][0]}"}
    return {"tags": [tag], "summary": summary, "responses": responses}


def _refusal(code: str, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text, "content": {JSON: {"schema": reference("Error")}}}
    if code == "429":
        wait = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": wait}
    return answer
