"""Describes the infer and predict pages in the OpenAPI document, as FastAPI does not route them."""

from typing import Any

from fastapi import FastAPI

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Signature

JSON_KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}


def add_infer_paths(app: FastAPI, model: str, signature: Signature) -> None:
    """Add both pages to what `app` says of itself."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["paths"][f"/v2/models/{model}/infer"] = {"post": _infer(signature)}
        document["paths"]["/predict"] = {"post": _predict(signature)}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _infer(signature: Signature) -> dict[str, Any]:
    inputs = [
        {"name": spec.name, "shape": _example_shape(spec), "datatype": spec.datatype, "data": _example(spec, flat=True)}
        for spec in signature.inputs
    ]
    return _operation("Infer (Open Inference Protocol v2)", {"type": "object"}, {"inputs": inputs})


def _predict(signature: Signature) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [spec.name for spec in signature.inputs],
        "properties": {spec.name: _schema(spec) for spec in signature.inputs},
    }
    example = {spec.name: _example(spec, flat=False) for spec in signature.inputs}
    return _operation("Predict: named inputs, named outputs", schema, example)


def _operation(summary: str, schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    codes = {"200": "the outputs", "400": "the request does not fit", "429": "overloaded; see Retry-After"}
    return {
        "summary": summary,
        "tags": ["inference"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {code: {"description": text} for code, text in codes.items()},
    }


def _schema(spec: TensorSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_KINDS[NUMPY_TYPES[spec.datatype].kind]}
    for _ in spec.shape:
        schema = {"type": "array", "items": schema}
    return schema


def _example_shape(spec: TensorSpec) -> list[int]:
    return [max(size, 1) for size in spec.shape]


def _example(spec: TensorSpec, *, flat: bool) -> Any:
    shape = _example_shape(spec)
    value: Any = False if spec.datatype == "BOOL" else 0
    if flat:
        count = 1
        for size in shape:
            count *= size
        return [value] * count
    for size in reversed(shape):
        value = [value] * size
    return value
