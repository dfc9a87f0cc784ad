"""Decodes and validates a whole request body into the model's inputs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.signature import Signature, Tensors, check_finite, check_shape
from slipstream_runtime.protocol.tensors import derived_shape, from_binary, from_json, nested

Parameters = Mapping[str, bool | int | float | str | None]
Body = TypeVar("Body")


class _Input(msgspec.Struct):
    name: str
    shape: tuple[int, ...]
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: dict[str, bool | int | float | str | None] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, bool | int | float | str | None] | None = None


class _Infer(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, bool | int | float | str | None] | None = None
    outputs: list[_Output] | None = None


@dataclass(slots=True)
class InferRequest:
    """A checked request: the inputs, and how the caller wants the answer."""

    tensors: Tensors
    rows: int
    id: str | None = None
    outputs: tuple[tuple[int, bool], ...] = field(default=())
    """Which outputs, and whether each goes out as a binary tensor."""
    timeout_seconds: float | None = None


_INFER = msgspec.json.Decoder(_Infer)
_NAMED = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_infer(signature: Signature, body: bytes, header_length: int | None) -> InferRequest:
    """Return the Open Inference Protocol request in `body`.

    `header_length` is the JSON part's length when binary tensors follow it, None without the binary extension.

    Raises:
        BadRequestError: the body is malformed or does not fit the model.
    """
    if header_length is None:
        return _request(signature, _parse(_INFER, body), memoryview(b""))
    if not 0 <= header_length <= len(body):
        raise BadRequestError("Inference-Header-Content-Length: must lie between 0 and the body's length")
    if header_length == 0:
        return _headless(signature, memoryview(body))
    return _request(signature, _parse(_INFER, body[:header_length]), memoryview(body)[header_length:])


def decode_named(signature: Signature, body: bytes) -> InferRequest:
    """Return the short form: one JSON object with a nested list for each input.

    Raises:
        BadRequestError: an input is missing, unknown or does not fit the model.
    """
    named = _parse(_NAMED, body)
    _check_names(signature, tuple(named))
    arrays = []
    for spec in signature.inputs:
        array = nested(spec, bytes(named[spec.name]))
        check_shape(spec, array.shape)
        check_finite(spec, array)
        arrays.append(array)
    tensors = tuple(arrays)
    return InferRequest(tensors, signature.rows(tensors))


def _parse(decoder: "msgspec.json.Decoder[Body]", body: bytes) -> Body:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"body: {error}") from error
    except RecursionError as error:
        raise BadRequestError("body: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"body: not JSON; {error}") from error


def _request(signature: Signature, body: _Infer, raw: memoryview) -> InferRequest:
    tensors = _tensors(signature, body.inputs, raw)
    request = InferRequest(tensors, signature.rows(tensors), body.id)
    if body.parameters:
        request.timeout_seconds = _timeout(body.parameters)
    if body.outputs or body.parameters:
        request.outputs = _outputs(signature, body)
    return request


def _headless(signature: Signature, raw: memoryview) -> InferRequest:
    if len(signature.inputs) != 1:
        raise BadRequestError("Inference-Header-Content-Length: 0 needs a model of one input; send a JSON header")
    spec = signature.inputs[0]
    tensors = (from_binary(spec, derived_shape(spec, len(raw)), raw),)
    outputs = tuple((i, True) for i in range(len(signature.outputs)))
    return InferRequest(tensors, signature.rows(tensors), outputs=outputs)


def _tensors(signature: Signature, inputs: list[_Input], raw: memoryview) -> Tensors:
    arrays = {}
    offset = 0
    for sent in inputs:
        spec = _spec(signature, sent)
        size = sent.parameters.get("binary_data_size") if sent.parameters else None
        if size is None:
            arrays[sent.name] = from_json(spec, sent.shape, bytes(sent.data))
        else:
            end = _end(spec, size, offset, len(raw), has_data=bool(sent.data))
            arrays[sent.name] = from_binary(spec, sent.shape, raw[offset:end])
            offset = end
    if len(arrays) != len(signature.inputs) or len(inputs) != len(arrays):
        _check_names(signature, tuple(sent.name for sent in inputs))
    if offset != len(raw):
        raise BadRequestError(f"body: {len(raw) - offset} bytes follow the last binary tensor")
    return tuple(arrays[spec.name] for spec in signature.inputs)


def _spec(signature: Signature, sent: _Input) -> TensorSpec:
    index = signature.input_index.get(sent.name)
    if index is None:
        _check_names(signature, (sent.name,))
        raise BadRequestError("inputs: unknown input")
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


def _check_names(signature: Signature, names: tuple[str, ...]) -> None:
    wanted = ", ".join(spec.name for spec in signature.inputs)
    for name in names:
        if name not in signature.input_index:
            raise BadRequestError(f"input {name[:80]!r}: unknown; the model takes {wanted}")
        if names.count(name) > 1:
            raise BadRequestError(f"input {name!r}: sent twice")
    for spec in signature.inputs:
        if spec.name not in names:
            raise BadRequestError(f"input {spec.name!r}: missing; the model takes {wanted}")


def _outputs(signature: Signature, body: _Infer) -> tuple[tuple[int, bool], ...]:
    binary = bool((body.parameters or {}).get("binary_data_output", False))
    if not body.outputs:
        return tuple((i, binary) for i in range(len(signature.outputs)))
    chosen = []
    for sent in body.outputs:
        index = signature.output_index.get(sent.name)
        if index is None:
            known = ", ".join(spec.name for spec in signature.outputs)
            raise BadRequestError(f"output {sent.name[:80]!r}: unknown; the model gives {known}")
        chosen.append((index, bool((sent.parameters or {}).get("binary_data", binary))))
    return tuple(chosen)


def _timeout(parameters: Parameters) -> float | None:
    """Return the reserved parameter `timeout`, microseconds on the wire, in seconds."""
    timeout = parameters.get("timeout")
    if timeout is None:
        return None
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout <= 0:
        raise BadRequestError("parameters: timeout must be a positive number of microseconds")
    return timeout / 1e6
