"""Requests serialised beforehand, so that sending one costs a write. Pure."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTINCT = 1024
LARGEST_POOL_BYTES = 64 * 1024 * 1024

WIRE_TYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}


class InputsError(ValueError):
    """The inputs do not fit the model; the message says which and how."""


def build_requests(
    head: bytes, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], rows: int, seed: int
) -> list[bytes]:
    """Return distinct whole HTTP requests of `rows` rows each, drawn from `arrays`, which begin with `head`.

    Raises:
        InputsError: an array is missing, mistyped, empty or of another length than the others.
    """
    items = _checked(metadata, arrays)
    length = len(next(iter(items.values())))
    row_bytes = sum(array[:1].nbytes for array in items.values())
    count = max(1, min(DISTINCT, LARGEST_POOL_BYTES // max(1, row_bytes * rows)))
    source = np.random.default_rng(seed)
    return [_request(head, metadata, items, source.integers(0, length, rows)) for _ in range(count)]


def _checked(metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    items = {}
    for spec in metadata["inputs"]:
        name, wanted = spec["name"], WIRE_TYPES.get(spec["datatype"], spec["datatype"])
        if name not in arrays:
            raise InputsError(f"no array {name!r}; there are {', '.join(arrays)}")
        array = arrays[name]
        if array.dtype != wanted:
            raise InputsError(f"array {name!r} is {array.dtype}, the model takes {wanted}")
        if array.ndim == 0 or len(array) == 0:
            raise InputsError(f"array {name!r} has no rows")
        items[name] = np.ascontiguousarray(array)
    if len({len(array) for array in items.values()}) != 1:
        raise InputsError("the arrays differ in length")
    return items


def request_head(host: str, model: str, token: str) -> bytes:
    """Return the lines that all requests begin with; an empty `token` sends none."""
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", f"Host: {host}", "Content-Type: application/octet-stream"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join(lines).encode()


def _request(head: bytes, metadata: Mapping[str, Any], items: Mapping[str, NDArray[Any]], index: NDArray[Any]) -> bytes:
    tensors, raw = [], []
    for spec in metadata["inputs"]:
        drawn = items[spec["name"]][index]
        raw.append(drawn.tobytes())
        tensors.append(
            {
                "name": spec["name"],
                "shape": list(drawn.shape),
                "datatype": spec["datatype"],
                "parameters": {"binary_data_size": len(raw[-1])},
            }
        )
    document = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    header = json.dumps(document, separators=(",", ":")).encode()
    body = b"".join((header, *raw))
    lengths = f"\r\nInference-Header-Content-Length: {len(header)}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head + lengths.encode() + body
