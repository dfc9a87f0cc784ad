"""The short way for the usual request: one typed pass in C over all of it. Pure.

It takes a request whose inputs come in the model's order, all as flat JSON lists or all as binary tensors, and are
right in every respect. Whatever else comes is left to the general way, which words the errors. What the two accept
is the same.
"""

from collections.abc import Callable
from math import prod
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.messages import OutputTensor
from slipstream_runtime.protocol.numbers import CODES, OUT_OF_RANGE, packer
from slipstream_runtime.protocol.parameters import Parameter
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Array, Signature, Tensors
from slipstream_runtime.protocol.tensors import checked

LONGEST_BODY = 1 << 18
"""Above it the general way reads numbers in chunks: here they all exist as Python numbers, 16 bytes for one of JSON."""

MOST_SHAPES = 256
"""Shapes of an input that are remembered."""

_FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, *OUT_OF_RANGE)

Message = Any
"""An InferMessage whose inputs are of generated types."""

Usual = tuple[Message, Tensors, int]
"""The message, the inputs, and their rows."""

Pack = Callable[..., bytes]


class _BinarySize(msgspec.Struct):
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)]


class _Plan:
    """How one input is read, by the shape sent: looked up rather than worked out."""

    __slots__ = ("_batched", "_known", "dtype", "spec")

    def __init__(self, spec: TensorSpec, *, batched: bool) -> None:
        self.spec = spec
        self.dtype = NUMPY_TYPES[spec.datatype]
        self._batched = batched
        self._known: dict[tuple[int, ...], tuple[Pack, int]] = {}

    def of(self, shape: tuple[int, ...]) -> tuple[Pack, int]:
        """Return what packs the numbers of a tensor of `shape`, which fits the input, and how many rows it has.

        Raises:
            struct.error: no memory could hold it.
        """
        found = self._known.get(shape)
        if found is None:
            found = packer(self.spec.datatype, prod(shape)).pack, shape[0] if self._batched else 1
            if len(self._known) < MOST_SHAPES:
                self._known[shape] = found
        return found


class FastWay:
    """Reads the usual requests of one model: the message, the inputs, and their rows; or None for all others."""

    def __init__(self, signature: Signature) -> None:
        specs = signature.inputs
        self._plans = [_Plan(spec, batched=signature.batched) for spec in specs]
        self._json = _decoder(specs, _json_input) if all(s.datatype in CODES for s in specs) else None
        self._binary = _decoder(specs, _binary_input) if all(s.datatype != BYTES for s in specs) else None
        self._batched = signature.batched
        self.json_members = 1 + 4 * len(specs)
        self.binary_members = 1 + 5 * len(specs)

    def json(self, body: bytes) -> Usual | None:
        """Return what the JSON text `body` holds."""
        if self._json is None or len(body) > LONGEST_BODY:
            return None
        tensors = []
        rows = -1
        try:
            message = self._json.decode(body)
            for plan, sent in zip(self._plans, message.inputs):  # noqa: B905  # its type has as many; this is faster
                shape = sent.shape
                pack, count = plan.of(shape)
                tensors.append(np.ndarray(shape, plan.dtype, pack(*sent.data)))
                if count != rows:
                    if rows >= 0:
                        return None
                    rows = count
        except _FAILURES:
            return None
        return (message, tuple(tensors), rows) if rows > 0 else None

    def binary(self, body: bytes, header_length: int) -> Usual | None:
        """Return what the JSON text in the first `header_length` bytes and the tensors after it hold."""
        if self._binary is None or header_length > LONGEST_BODY:
            return None
        try:
            message = self._binary.decode(body[:header_length])
        except _FAILURES:
            return None
        offset = header_length
        tensors = []
        for plan, sent in zip(self._plans, message.inputs, strict=True):
            size = sent.parameters.binary_data_size
            if size != prod(sent.shape) * plan.dtype.itemsize or offset + size > len(body):
                return None
            try:
                tensors.append(checked(plan.spec, np.ndarray(sent.shape, plan.dtype, cast("Any", body), offset)))
            except BadRequestError:
                return None
            offset += size
        rows = self._rows(tensors)
        return (message, tuple(tensors), rows) if rows and offset == len(body) else None

    def _rows(self, tensors: list[Array]) -> int:
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
