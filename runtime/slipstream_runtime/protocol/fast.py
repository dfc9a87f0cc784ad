"""The short way for the usual request: one typed pass in C over all of it. Pure.

It takes a request whose inputs come in the model's order, all as flat JSON lists or all as binary tensors, and are
right in every respect. Whatever else comes is left to the general way, which words the errors. What the two accept
is the same.
"""

from math import prod
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.messages import OutputTensor
from slipstream_runtime.protocol.numbers import CODES, OUT_OF_RANGE, packer
from slipstream_runtime.protocol.parameters import Parameter
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Signature, Tensors
from slipstream_runtime.protocol.tensors import checked

LONGEST_BODY = 1 << 18
"""Above it the general way reads numbers in chunks: here they all exist as Python numbers, 16 bytes for one of JSON."""

_FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Message = Any
"""An InferMessage whose inputs are of generated types."""


class _BinarySize(msgspec.Struct):
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)]


class FastWay:
    """Reads the usual requests of one model."""

    def __init__(self, signature: Signature) -> None:
        self._batched = signature.batched
        specs = signature.inputs
        self._plans = [(spec, NUMPY_TYPES[spec.datatype]) for spec in specs]
        self._json = _decoder(specs, _json_input) if all(s.datatype in CODES for s in specs) else None
        self._binary = _decoder(specs, _binary_input) if all(s.datatype != BYTES for s in specs) else None
        self.json_members = 1 + 4 * len(specs)
        self.binary_members = 1 + 5 * len(specs)

    def json(self, body: bytes) -> tuple[Message, Tensors] | None:
        """Return the message and the inputs in the JSON text `body`, or None when it is not the usual request."""
        if self._json is None or len(body) > LONGEST_BODY or b"[[" in body:  # a nested list would fail, but later
            return None
        try:
            message = self._json.decode(body)
            tensors = []
            for (spec, dtype), sent in zip(self._plans, message.inputs, strict=True):
                count = len(sent.data)
                packed = packer(spec.datatype, count).pack(*sent.data)
                if count != prod(sent.shape):
                    return None
                tensors.append(np.ndarray(sent.shape, dtype, packed))
        except _FAILURES:
            return None
        except OUT_OF_RANGE:
            return None
        return message, tuple(tensors)

    def binary(self, body: bytes, header_length: int) -> tuple[Message, Tensors] | None:
        """Return the message in the first `header_length` bytes and the inputs in the others, or None likewise."""
        if self._binary is None or header_length > LONGEST_BODY:
            return None
        try:
            message = self._binary.decode(body[:header_length])
        except _FAILURES:
            return None
        offset = header_length
        tensors = []
        for (spec, dtype), sent in zip(self._plans, message.inputs, strict=True):
            size = sent.parameters.binary_data_size
            if size != prod(sent.shape) * dtype.itemsize or offset + size > len(body):
                return None
            try:
                tensors.append(checked(spec, np.ndarray(sent.shape, dtype, cast("Any", body), offset)))
            except BadRequestError:
                return None
            offset += size
        return (message, tuple(tensors)) if offset == len(body) else None

    def rows(self, tensors: Tensors) -> int:
        """Return how many rows the inputs hold, 0 when they disagree."""
        if not self._batched:
            return 1
        rows = tensors[0].shape[0]
        if len(tensors) > 1 and any(tensor.shape[0] != rows for tensor in tensors):
            return 0
        return int(rows)


def _decoder(specs: tuple[TensorSpec, ...], input_type: Any) -> msgspec.json.Decoder[Message]:
    inputs = tuple.__class_getitem__(tuple(input_type(spec) for spec in specs))
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = [
        ("inputs", inputs),
        ("id", str | None, None),
        ("parameters", dict[str, Parameter] | None, None),
        ("outputs", list[OutputTensor] | None, None),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Infer", fields))


def _json_input(spec: TensorSpec) -> type[msgspec.Struct]:
    element: Any = CODES[spec.datatype][1]
    return _input(spec, ("data", list[element]), ("parameters", None, None))


def _binary_input(spec: TensorSpec) -> type[msgspec.Struct]:
    return _input(spec, ("parameters", _BinarySize), ("data", None, None))


def _input(spec: TensorSpec, *more: Any) -> type[msgspec.Struct]:
    shape = tuple.__class_getitem__(tuple(_size(size) for size in spec.shape)) if spec.shape else tuple[()]
    fields = [("name", Literal[spec.name]), ("shape", shape), ("datatype", Literal[spec.datatype]), *more]
    return msgspec.defstruct("Input", fields)


def _size(size: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=0)] if size < 0 else Literal[size]
