"""Encodes answers and errors. Pure."""

from typing import Any

import numpy as np
import orjson

from slipstream_runtime.protocol.decoding import InferRequest
from slipstream_runtime.protocol.signature import Array, Signature, Tensors

MODEL_VERSION = "1"
JSON_TYPE = b"application/json"
BINARY_TYPE = b"application/octet-stream"

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


class Encoder:
    """Writes answers of one model."""

    def __init__(self, model: str, signature: Signature) -> None:
        self._signature = signature
        self._all = tuple((i, False) for i in range(len(signature.outputs)))
        self._head = {"model_name": model, "model_version": MODEL_VERSION}

    def infer(self, request: InferRequest, outputs: Tensors) -> tuple[bytes, int | None]:
        """Return the body, and the length of its JSON part when binary tensors follow."""
        document: dict[str, Any] = dict(self._head)
        if request.id is not None:
            document["id"] = request.id
        binary: list[bytes] = []
        document["outputs"] = [
            self._tensor(index, outputs[index], binary if as_binary else None)
            for index, as_binary in request.outputs or self._all
        ]
        header = orjson.dumps(document, option=_OPTIONS)
        if not binary:
            return header, None
        return b"".join((header, *binary)), len(header)

    def named(self, outputs: Tensors) -> bytes:
        """Return the short form: one JSON object with a nested list for each output."""
        specs = self._signature.outputs
        document = {spec.name: _json_array(array) for spec, array in zip(specs, outputs, strict=True)}
        return orjson.dumps(document, option=_OPTIONS)

    def _tensor(self, index: int, array: Array, binary: list[bytes] | None) -> dict[str, Any]:
        spec = self._signature.outputs[index]
        tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": array.shape}
        if binary is None:
            tensor["data"] = _json_array(array).ravel()
        else:
            raw = array.tobytes()
            binary.append(raw)
            tensor["parameters"] = {"binary_data_size": len(raw)}
        return tensor


def error_body(message: str) -> bytes:
    """Return the protocol's error document."""
    return orjson.dumps({"error": message})


def _json_array(array: Array) -> Array:
    if array.dtype == np.float16:  # orjson writes no float16; every float16 is a float32
        return array.astype(np.float32)
    return np.ascontiguousarray(array)
