"""How one-row requests and their answers look on the wire, protocol by protocol. Pure."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.serving.models import Array, Tensors

JSON_HEADERS = ("Content-Type: application/json",)
BINARY_HEADERS = ("Content-Type: application/octet-stream",)
_WIRE_TYPES = {"float32": "FP32", "int64": "INT64"}


@dataclass(frozen=True)
class Wire:
    """A way to ask: `encode` makes headers and body of a request, `decode` the first output from an answer."""

    path: str
    encode: Callable[[Tensors], tuple[tuple[str, ...], bytes]]
    decode: Callable[[bytes], Array]

    def request(self, tensors: Tensors, headers: Iterable[str] = ()) -> bytes:
        """Return the whole HTTP request."""
        own, body = self.encode(tensors)
        lines = (f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", *own, *headers, f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", "")).encode() + body


def protocol_json(model: str) -> Wire:
    """Return the Open Inference Protocol in JSON."""
    return Wire(f"/v2/models/{model}/infer", _protocol_json, _protocol_answer)


def protocol_binary(model: str) -> Wire:
    """Return the Open Inference Protocol with its binary extension, in both directions."""
    return Wire(f"/v2/models/{model}/infer", _protocol_binary, _binary_answer)


def named_json(path: str, answer: str | None = "scores", rows: bool = False) -> Wire:
    """Return a JSON object of the inputs by name, one row each or, with `rows`, a list of one row.

    The answer is the field `answer`, or the document itself.
    """

    def encode(tensors: Tensors) -> tuple[tuple[str, ...], bytes]:
        return JSON_HEADERS, _dumps({name: _numbers(array if rows else array[0]) for name, array in tensors.items()})

    def decode(body: bytes) -> Array:
        document = json.loads(body)
        return np.array(document if answer is None else document[answer], dtype=np.float32).reshape(-1)

    return Wire(path, encode, decode)


def raw(path: str) -> Wire:
    """Return the bare bytes of the one input, answered by those of the one output."""
    return Wire(
        path,
        lambda tensors: (BINARY_HEADERS, b"".join(array.tobytes() for array in tensors.values())),
        lambda body: np.frombuffer(body, dtype=np.float32),
    )


def _protocol_json(tensors: Tensors) -> tuple[tuple[str, ...], bytes]:
    inputs = [_described(name, array) | {"data": _numbers(array.reshape(-1))} for name, array in tensors.items()]
    return JSON_HEADERS, _dumps({"inputs": inputs})


def _protocol_answer(body: bytes) -> Array:
    return np.array(json.loads(body)["outputs"][0]["data"], dtype=np.float32).reshape(-1)


def _protocol_binary(tensors: Tensors) -> tuple[tuple[str, ...], bytes]:
    inputs = [
        _described(name, array) | {"parameters": {"binary_data_size": array.nbytes}} for name, array in tensors.items()
    ]
    header = _dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    body = b"".join((header, *(array.tobytes() for array in tensors.values())))
    return (*BINARY_HEADERS, f"Inference-Header-Content-Length: {len(header)}"), body


def _binary_answer(body: bytes) -> Array:
    end = body.rindex(b"}]}") + 3 if b"}]}" in body else body.rindex(b"}") + 1
    output = json.loads(body[:end])["outputs"][0]
    return np.frombuffer(body[end : end + output["parameters"]["binary_data_size"]], dtype=np.float32)


def _described(name: str, array: Array) -> dict[str, object]:
    return {"name": name, "shape": list(array.shape), "datatype": _WIRE_TYPES[str(array.dtype)]}


def _numbers(array: Array) -> list[Any]:
    """Return the numbers with nine digits, which a float32 needs, as a client that serialises float32 sends them."""
    if array.dtype == np.float32:
        return (
            [json.loads(f"{value:.9g}") for value in array.reshape(-1)]
            if array.ndim == 1
            else list(map(_numbers, array))
        )
    numbers: list[Any] = array.tolist()
    return numbers


def _dumps(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
