"""Decodes and validates a whole request body into the model's inputs. Pure."""

import msgspec
import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.fast import FastWay, Message, Usual
from slipstream_runtime.protocol.messages import (
    INFER,
    NAMED,
    SHAPE,
    InferMessage,
    InputTensor,
    members,
    optional_members,
    parse,
    refuse_duplicates,
)
from slipstream_runtime.protocol.parameters import (
    binary_by_default,
    check_id,
    choose_outputs,
    read_priority,
    read_timeout,
    refuse_sequences,
    refuse_shared_memory,
)
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Array, Signature, Tensors, check_shape
from slipstream_runtime.protocol.tensors import derived_shape, from_binary, from_json, nested

LONGEST_SHAPE = 1024
"""Bytes of a shape's JSON text: no model has that many axes."""


class Decoder:
    """Reads requests to one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._fast = FastWay(signature)
        self._json = tuple((i, False) for i in range(len(signature.outputs)))
        self._binary = tuple((i, True) for i in range(len(signature.outputs)))

    def infer(self, body: bytes, header_length: int | None) -> InferRequest:
        """Return the Open Inference Protocol request in `body`.

        `header_length` is the JSON part's length when binary tensors follow it, None without the binary extension.

        Raises:
            BadRequestError: the body is malformed or does not fit the model.
            UnsupportedError: it asks for what the protocol has and this replica does not.
        """
        if header_length is None:
            return self.json(body)
        if not 0 <= header_length <= len(body):
            raise BadRequestError("Inference-Header-Content-Length: must lie between 0 and the body's length")
        if header_length == 0:
            return self._headless(memoryview(body))
        found = self._fast.binary(body, header_length)
        if found is None:
            return self.infer_generally(body, header_length)
        return self._quick_request(found, body[:header_length], self._fast.binary_members)

    def json(self, body: bytes) -> InferRequest:
        """Do as `infer` does, for requests without binary tensors; the hot path.

        Raises:
            ServingError: as `infer` does.
        """
        fast = self._fast
        found = fast.json(body)
        if found is None:
            return self.infer_generally(body, None)
        message, tensors, rows = found
        plain = message.id is None and message.parameters is None and message.outputs is None
        if plain and body.count(b":") == fast.json_members:
            return InferRequest(tensors, rows)
        return self._quick_request(found, body, fast.json_members)

    def infer_generally(self, body: bytes, header_length: int | None) -> InferRequest:
        """Do as `infer` does, for all requests that have a JSON part; slower."""
        text = body if header_length is None else body[:header_length]
        raw = memoryview(body)[len(text) :]
        message = parse(INFER, text)
        if text.count(b":") != members(message):
            refuse_duplicates(text)
        tensors = _tensors(self._signature, message.inputs, raw)
        return self._request(message, tensors, self._signature.rows(tensors))

    def named(self, body: bytes) -> InferRequest:
        """Return the short form: one JSON object with a nested list for each input.

        One row may come without the batch axis: every list then has one level less than the model's input.

        Raises:
            BadRequestError: an input is missing, unknown or does not fit the model.
        """
        named = parse(NAMED, body)
        if body.count(b":") != len(named):
            refuse_duplicates(body)
        check_names(self._signature, tuple(named))
        arrays = tuple(nested(spec, bytes(named[spec.name])) for spec in self._signature.inputs)
        tensors = tuple(map(_fitted, self._signature.inputs, self._with_batch_axis(arrays)))
        return InferRequest(tensors, self._signature.rows(tensors))

    def _quick_request(self, found: Usual, text: bytes, known: int) -> InferRequest:
        message, tensors, rows = found
        if text.count(b":") != known + optional_members(message):
            refuse_duplicates(text)
        return self._request(message, tensors, rows)

    def _request(self, message: "InferMessage | Message", tensors: Tensors, rows: int) -> InferRequest:
        request = InferRequest(tensors, rows, message.id)
        check_id(message.id)
        parameters = message.parameters
        binary = False
        if parameters:
            refuse_sequences(parameters)
            request.timeout_seconds = read_timeout(parameters)
            request.priority = read_priority(parameters)
            binary = binary_by_default(parameters)
        if message.outputs:
            asked = ((output.name, output.parameters) for output in message.outputs)
            request.outputs = choose_outputs(self._signature, asked, binary=binary)
        else:
            request.outputs = self._binary if binary else ()
        return request

    def _headless(self, raw: memoryview) -> InferRequest:
        if len(self._signature.inputs) != 1:
            raise BadRequestError("Inference-Header-Content-Length: 0 needs a model of one input; send a JSON header")
        spec = self._signature.inputs[0]
        tensors = (from_binary(spec, derived_shape(spec, len(raw)), raw),)
        return InferRequest(tensors, self._signature.rows(tensors), outputs=self._binary)

    def _with_batch_axis(self, arrays: Tensors) -> Tensors:
        """Return `arrays` as one row when every one has exactly the batch axis too little."""
        specs = self._signature.inputs
        if self._signature.batched and all(a.ndim == len(s.shape) - 1 for a, s in zip(arrays, specs, strict=True)):
            return tuple(array[np.newaxis] for array in arrays)
        return arrays


def _fitted(spec: TensorSpec, array: Array) -> Array:
    if not spec.shape and array.shape == (1,):  # a lone number is sent as a list of one
        array = array.reshape(())
    check_shape(spec, array.shape)
    return array


def _tensors(signature: Signature, inputs: list[InputTensor], raw: memoryview) -> Tensors:
    arrays = {}
    offset = 0
    for sent in inputs:
        spec = _spec(signature, sent)
        parameters = sent.parameters or {}
        refuse_shared_memory(f"input {spec.name!r}", parameters)
        size = parameters.get("binary_data_size")
        data, shape = bytes(sent.data), _shape(spec, bytes(sent.shape))
        if size is None:
            arrays[sent.name] = from_json(spec, shape, data)
        else:
            end = _end(spec, size, offset, len(raw), has_data=data not in {b"", b"null"})
            arrays[sent.name] = from_binary(spec, shape, raw[offset:end])
            offset = end
    if len(arrays) != len(signature.inputs) or len(inputs) != len(arrays):
        check_names(signature, tuple(sent.name for sent in inputs))
    if offset != len(raw):
        raise BadRequestError(f"body: {len(raw) - offset} bytes follow the last binary tensor")
    return tuple(arrays[spec.name] for spec in signature.inputs)


def _shape(spec: TensorSpec, text: bytes) -> tuple[int, ...]:
    """Return the shape in the JSON `text`, which is read apart because millions of axes would take a lot of memory."""
    if len(text) > LONGEST_SHAPE:
        raise BadRequestError(f"input {spec.name!r}: shape has too many axes for {list(spec.shape)}")
    try:
        return SHAPE.decode(text)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"input {spec.name!r}: shape: {error}") from error


def _spec(signature: Signature, sent: InputTensor) -> TensorSpec:
    index = signature.input_index.get(sent.name)
    if index is None:
        raise _unknown(signature, sent.name)
    spec = signature.inputs[index]
    if sent.datatype != spec.datatype:
        raise BadRequestError(f"input {spec.name!r}: datatype must be {spec.datatype}")
    return spec


def _end(spec: TensorSpec, size: object, offset: int, length: int, *, has_data: bool) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadRequestError(f"input {spec.name!r}: binary_data_size must be a number of bytes")
    if has_data:
        raise BadRequestError(f"input {spec.name!r}: send data or binary_data_size, not both")
    if offset + size > length:
        raise BadRequestError(f"input {spec.name!r}: binary_data_size is past the end of the body")
    return offset + size


def check_names(signature: Signature, names: tuple[str, ...]) -> None:
    """Raise BadRequestError unless `names` are those of the model's inputs, each once, in any order."""
    seen = set()
    for name in names:
        if name not in signature.input_index:
            raise _unknown(signature, name)
        if name in seen:
            raise BadRequestError(f"input {name!r}: sent twice")
        seen.add(name)
    for spec in signature.inputs:
        if spec.name not in seen:
            raise BadRequestError(f"input {spec.name!r}: missing; the model takes {_wanted(signature)}")


def _unknown(signature: Signature, name: str) -> BadRequestError:
    return BadRequestError(f"input {name[:80]!r}: unknown; the model takes {_wanted(signature)}")


def _wanted(signature: Signature) -> str:
    return ", ".join(spec.name for spec in signature.inputs)
