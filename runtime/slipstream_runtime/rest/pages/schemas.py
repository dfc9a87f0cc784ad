"""JSON schemas of what the model takes and gives, with its own names, datatypes and shapes. Pure."""

from typing import Any

import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.protocol.numbers import DEEPEST
from slipstream_runtime.protocol.parameters import LARGEST, LONGEST_ID
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES
from slipstream_runtime.rest.pages.served import Served

Schema = dict[str, Any]

_PARAMETER: Schema = {"type": ["boolean", "integer", "number", "string", "null"]}
_ID: Schema = {"type": "string", "maxLength": LONGEST_ID}
_SIZE: Schema = {"type": "integer", "minimum": 0}


def reference(name: str) -> Schema:
    """Return a reference to the schema `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(served: Served) -> dict[str, Schema]:
    """Return every schema of the document by name."""
    inputs, outputs = served.manifest.inputs, served.manifest.outputs
    return {
        "Error": _object({"error": {"type": "string"}}),
        "InferRequest": _infer_request(inputs, outputs),
        "InferResponse": _infer_response(served.model, outputs),
        "PredictRequest": _object({spec.name: _predict_input(spec, served) for spec in inputs}),
        "PredictResponse": _object({spec.name: _nested(spec, len(spec.shape)) for spec in outputs}),
        "Parameters": {
            "type": "object",
            "description": "Unknown parameters are ignored.",
            "properties": {
                "timeout": {"type": ["integer", "null"], "minimum": 1, "maximum": LARGEST, "description": "µs"},
                "priority": {"type": ["integer", "null"], "minimum": 0, "maximum": LARGEST},
                "binary_data_output": {"type": ["boolean", "null"]},
            },
            "additionalProperties": _PARAMETER,
        },
    }


def _infer_request(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Schema:
    asked: dict[str, Schema] = {
        "name": {"enum": [spec.name for spec in outputs]},
        "parameters": {
            "type": ["object", "null"],
            "properties": {"binary_data": {"type": ["boolean", "null"]}},
            "additionalProperties": _PARAMETER,
        },
    }
    return _object(
        {
            "inputs": {
                "type": "array",
                "minItems": len(inputs),
                "maxItems": len(inputs),
                "items": _any_of([_input(spec) for spec in inputs]),
                "description": "One of each, in any order.",
            }
        },
        {
            "id": {**_ID, "type": ["string", "null"]},
            "parameters": {"anyOf": [reference("Parameters"), {"type": "null"}]},
            "outputs": {"type": ["array", "null"], "items": _object(asked, optional=("parameters",))},
        },
    )


def _input(spec: TensorSpec) -> Schema:
    known = {"name": {"const": spec.name}, "shape": _shape(spec), "datatype": {"const": spec.datatype}}
    size = {"type": "object", "required": ["binary_data_size"], "properties": {"binary_data_size": _SIZE}}
    binary = _object({**known, "parameters": size})
    if spec.datatype == "FP16":
        return binary
    flat = {"type": "array", "items": _any_of([element(spec), {"type": "array"}])}
    return _any_of([_object({**known, "data": flat}), binary])


def _infer_response(model: str, outputs: tuple[TensorSpec, ...]) -> Schema:
    return _object(
        {
            "model_name": {"const": model},
            "model_version": {"const": MODEL_VERSION},
            "outputs": {"type": "array", "minItems": 1, "items": _any_of([_output(spec) for spec in outputs])},
        },
        {"id": _ID},
    )


def _output(spec: TensorSpec) -> Schema:
    known = {"name": {"const": spec.name}, "shape": _shape(spec), "datatype": {"const": spec.datatype}}
    data: Schema = {"type": "array", "items": element(spec)}
    return _object(known, {"data": data, "parameters": _object({"binary_data_size": _SIZE})})


def _predict_input(spec: TensorSpec, served: Served) -> Schema:
    """A nested list, or the same without the batch axis."""
    whole = _nested(spec, len(spec.shape))
    if served.signature.batched and len(spec.shape) > 1:
        return _any_of([whole, _nested(spec, len(spec.shape) - 1)])
    return whole


def _nested(spec: TensorSpec, depth: int) -> Schema:
    schema = element(spec)
    for size in reversed(spec.shape[len(spec.shape) - depth :]):
        schema = {"type": "array", "items": schema, **({} if size < 0 else {"minItems": size, "maxItems": size})}
    return schema if depth else {"type": "array", "items": schema, "maxItems": 1}


def _shape(spec: TensorSpec) -> Schema:
    sizes = [_SIZE if size < 0 else {"const": size} for size in spec.shape]
    bounds = {"minItems": len(sizes), "maxItems": min(len(sizes), DEEPEST)}
    return {"type": "array", "items": {"type": "integer"}, **bounds} | ({"prefixItems": sizes} if sizes else {})


def element(spec: TensorSpec) -> Schema:
    """Return the schema of one element in JSON."""
    dtype = NUMPY_TYPES[spec.datatype]
    if spec.datatype == BYTES:
        return {"type": "string"}
    if dtype.kind == "b":
        return {"type": "boolean"}
    if dtype.kind == "f":
        largest = float(str(np.finfo(dtype).max))  # as it is written in JSON, which is rounded
        return {"type": "number", "minimum": -largest, "maximum": largest}
    bounds = np.iinfo(dtype)
    return {"type": "integer", "minimum": int(bounds.min), "maximum": int(bounds.max)}


def _object(
    required: dict[str, Schema], more: dict[str, Schema] | None = None, optional: tuple[str, ...] = ()
) -> Schema:
    names = [name for name in required if name not in optional]
    return {"type": "object", "required": names, "properties": required | (more or {})}


def _any_of(choices: list[Schema]) -> Schema:
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
