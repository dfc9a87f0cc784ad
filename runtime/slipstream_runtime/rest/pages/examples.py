"""Requests that can be pasted into a terminal and work. Pure."""

import json
import math
from typing import Any

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Signature

LONGEST = 256
"""Elements of an example; longer ones help nobody to read."""


def infer_example(signature: Signature) -> dict[str, Any] | None:
    """Return a small infer request of one row, or None where the model's inputs are too large or have no JSON form."""
    if not _writable(signature):
        return None
    inputs = [
        {"name": spec.name, "shape": _shape(spec), "datatype": spec.datatype, "data": [_value(spec)] * _count(spec)}
        for spec in signature.inputs
    ]
    return {"inputs": inputs}


def predict_example(signature: Signature) -> dict[str, Any] | None:
    """Return the same request in the short form."""
    if not _writable(signature):
        return None
    return {spec.name: _nested(spec) for spec in signature.inputs}


def commands(signature: Signature, model: str, base: str, *, keys: bool) -> list[tuple[str, str]]:
    """Return pairs of a title and a command line for the replica at `base`."""
    curl = f"curl -s {base}"
    key = ' \\\n  -H "Authorization: Bearer $TOKEN"' if keys else ""
    infer = f"{curl}/v2/models/{model}/infer{key}"
    found = [("Is it ready?", f"{curl}/v2/health/ready")]
    predict, usual = predict_example(signature), infer_example(signature)
    if predict is not None and usual is not None:
        found.append(("The short form", f"{curl}/predict{key} \\\n  -d {_quoted(predict)}"))
        found.append(("Open Inference Protocol v2", f"{infer} \\\n  -d {_quoted(usual)}"))
    spec = signature.inputs[0]
    if len(signature.inputs) == 1 and spec.datatype != BYTES and -1 not in spec.shape[1:] and spec.shape:
        size = _count(spec) * NUMPY_TYPES[spec.datatype].itemsize
        header = '-H "Inference-Header-Content-Length: 0"'
        rest = "--data-binary @- --output answer.bin"
        found.append(("Raw bytes, the fastest", f"head -c {size} /dev/zero | {infer} \\\n  {header} {rest}"))
    return found


def _writable(signature: Signature) -> bool:
    specs = signature.inputs
    return sum(map(_count, specs)) <= LONGEST and all(spec.datatype != "FP16" for spec in specs)


def _shape(spec: TensorSpec) -> list[int]:
    return [1 if size < 0 else size for size in spec.shape]


def _count(spec: TensorSpec) -> int:
    return math.prod(_shape(spec))


def _value(spec: TensorSpec) -> Any:
    if spec.datatype == BYTES:
        return "text"
    return {"b": False, "f": 0.5}.get(NUMPY_TYPES[spec.datatype].kind, 1)


def _nested(spec: TensorSpec) -> Any:
    value = _value(spec)
    for size in reversed(_shape(spec)):
        value = [value] * size
    return value


def _quoted(document: dict[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":"))
    return "'" + text.replace("'", "'\\''") + "'"
