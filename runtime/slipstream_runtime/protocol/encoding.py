"""Encodes answers and errors. Pure."""

from typing import Any

import numpy as np
import orjson

from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Array, Signature, Tensors
from slipstream_runtime.protocol.tensors import to_binary

MODEL_VERSION = "1"
BINARY_TYPE = b"application/octet-stream"

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY

_FEW = 256
"""Beginnings of answers that are kept, one for each shape seen; further ones are written anew."""


class Encoder:
    """Writes answers of one model.

    Everything but the numbers is known beforehand, so that an answer is joined from prepared pieces.
    """

    def __init__(self, model: str, signature: Signature) -> None:
        self._specs = signature.outputs
        self._names = [orjson.dumps(spec.name) for spec in signature.outputs]
        self._all = tuple((i, False) for i in range(len(signature.outputs)))
        self._head = b'{"model_name":%b,"model_version":%b,' % (orjson.dumps(model), orjson.dumps(MODEL_VERSION))
        self._begun = self._head + b'"outputs":['
        self._beginnings: dict[tuple[int, tuple[int, ...]], bytes] = {}

    def plain(self, outputs: Tensors) -> bytes:
        """Return the body of the usual answer: all outputs as JSON, and no id."""
        pieces = [
            b'%b"data":%b}' % (self._beginning(index, array.shape), _numbers(array.reshape(-1)))
            for (index, _), array in zip(self._all, outputs, strict=True)
        ]
        return b"%b%b]}" % (self._begun, b",".join(pieces))

    def infer(self, request: InferRequest, outputs: Tensors) -> tuple[bytes, int | None]:
        """Return the body, and the length of its JSON part when binary tensors follow."""
        begun = self._begun if request.id is None else self._with_id(request.id)
        pieces: list[bytes] = []
        raw: list[bytes] = []
        for index, as_binary in request.outputs or self._all:
            array = outputs[index]
            if as_binary:
                content = to_binary(array)
                raw.append(content)
                rest = b'"parameters":{"binary_data_size":%d}}' % len(content)
            else:
                rest = b'"data":%b}' % _numbers(array.reshape(-1))
            pieces.append(self._beginning(index, array.shape) + rest)
        header = b"%b%b]}" % (begun, b",".join(pieces))
        if not raw:
            return header, None
        return b"".join((header, *raw)), len(header)

    def named(self, outputs: Tensors) -> bytes:
        """Return the short form: one JSON object with a nested list for each output."""
        pieces = [b"%b:%b" % (name, _numbers(array)) for name, array in zip(self._names, outputs, strict=True)]
        return b"{%b}" % b",".join(pieces)

    def _with_id(self, text: str) -> bytes:
        return b'%b"id":%b,"outputs":[' % (self._head, orjson.dumps(text))

    def _beginning(self, index: int, shape: tuple[int, ...]) -> bytes:
        found = self._beginnings.get((index, shape))
        if found is None:
            tensor: dict[str, Any] = {"name": self._specs[index].name, "datatype": self._specs[index].datatype}
            found = orjson.dumps(tensor | {"shape": shape})[:-1] + b","
            if len(self._beginnings) < _FEW:
                self._beginnings[index, shape] = found
        return found


def _numbers(array: Array) -> bytes:
    """Return `array` as nested JSON lists; an FP16 as the exact value that it is, which every float32 can hold."""
    kind = array.dtype.char
    if kind == "O":
        return orjson.dumps(array.tolist() if array.ndim else [array.item()])
    if kind == "e":  # orjson writes no float16
        array = array.astype(np.float32)
    elif not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return orjson.dumps(array if array.ndim else array.reshape(1), option=_OPTIONS)
