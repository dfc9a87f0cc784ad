"""Turns a ModelInferRequest into checked tensors, and an answer into a ModelInferResponse. Pure."""

from google.protobuf.message import DecodeError

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError, NotFoundError
from slipstream_runtime.protocol.decoding import check_names
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.protocol.parameters import (
    Parameter,
    check_id,
    choose_outputs,
    read_priority,
    read_timeout,
    refuse_sequences,
    refuse_shared_memory,
)
from slipstream_runtime.protocol.reply import Answer
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import Signature, Tensors
from slipstream_runtime.protocol.tensors import from_binary, to_binary
from slipstream_runtime.rpc.contents import from_contents
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_runtime.rpc.wire import bounded, delimited

ID, RAW_OUTPUT_CONTENTS = 3, 6
"""Field numbers of ModelInferResponse."""

SMALL_BYTES = 64 * 1024
"""A message up to this size cannot hold enough parts to matter."""

_FEW = 256
"""Beginnings of answers that are kept, one for each shape seen; further ones are written anew."""

FINAL = messages.ModelInferResponse()
FINAL.parameters["triton_final_response"].bool_param = True


class Decoder:
    """Reads requests to one model."""

    def __init__(self, model: str, signature: Signature) -> None:
        self._model = model
        self._signature = signature

    def parse(self, content: bytes) -> messages.ModelInferRequest:
        """Return the message in `content`.

        Raises:
            BadRequestError: it is none.
        """
        if len(content) > SMALL_BYTES:
            bounded(content)
        try:
            return messages.ModelInferRequest.FromString(content)
        except DecodeError as error:
            raise BadRequestError("message: not a ModelInferRequest") from error

    def request(self, message: messages.ModelInferRequest) -> InferRequest:
        """Return the checked request.

        Raises:
            ServingError: it does not fit the model, or asks for what is not served.
        """
        check_model(self._model, message.model_name, message.model_version)
        tensors = self._tensors(message)
        request = InferRequest(tensors, self._signature.rows(tensors))
        if message.id:
            check_id(message.id)
            request.id = message.id
        if message.parameters:
            parameters = plain(message.parameters)
            refuse_sequences(parameters)
            request.timeout_seconds = read_timeout(parameters)
            request.priority = read_priority(parameters)
        if message.outputs:
            asked = ((sent.name, plain(sent.parameters)) for sent in message.outputs)
            request.outputs = choose_outputs(self._signature, asked, binary=True)
        return request

    def _tensors(self, message: messages.ModelInferRequest) -> Tensors:
        raw = message.raw_input_contents
        sent_inputs = message.inputs
        if raw and len(raw) != len(sent_inputs):
            raise BadRequestError(
                f"raw_input_contents: {len(raw)} tensors for {len(sent_inputs)} inputs; send one for each, in order"
            )
        arrays = {}
        for position, sent in enumerate(sent_inputs):
            spec = self._spec(sent)
            shape = tuple(sent.shape)
            if not raw:
                arrays[spec.name] = from_contents(spec, shape, sent.contents)
            elif sent.HasField("contents"):
                raise BadRequestError(f"input {spec.name!r}: send raw_input_contents or contents, not both")
            else:
                arrays[spec.name] = from_binary(spec, shape, memoryview(raw[position]))
        if len(arrays) != len(self._signature.inputs) or len(sent_inputs) != len(arrays):
            check_names(self._signature, tuple(sent.name for sent in sent_inputs))
        return tuple(arrays[spec.name] for spec in self._signature.inputs)

    def _spec(self, sent: messages.ModelInferRequest.InferInputTensor) -> TensorSpec:
        name = sent.name
        index = self._signature.input_index.get(name)
        if index is None:
            check_names(self._signature, (name,))
            raise BadRequestError("inputs: unknown input")
        spec = self._signature.inputs[index]
        if sent.datatype != spec.datatype:
            raise BadRequestError(f"input {name!r}: datatype must be {spec.datatype}")
        if sent.parameters:
            refuse_shared_memory(f"input {name!r}", plain(sent.parameters))
        return spec


class Encoder:
    """Writes answers of one model, always as raw contents, as Triton does.

    Everything but the numbers and the id is serialised once for each shape; the fields of a message may stand in any
    order, so that the rest is appended.
    """

    def __init__(self, model: str, signature: Signature) -> None:
        self._model = model
        self._specs = signature.outputs
        self._all = tuple((i, True) for i in range(len(signature.outputs)))
        self._beginnings: dict[tuple[object, ...], bytes] = {}

    def response(self, request: InferRequest, answer: Answer) -> bytes:
        """Return the serialised ModelInferResponse."""
        chosen = request.outputs or self._all
        outputs = answer.outputs
        parts = [self._beginning(chosen, answer)]
        if request.id is not None:
            parts += delimited(ID, request.id.encode())
        for index, _ in chosen:
            parts += delimited(RAW_OUTPUT_CONTENTS, to_binary(outputs[index]))
        return b"".join(parts)

    def _beginning(self, chosen: tuple[tuple[int, bool], ...], answer: Answer) -> bytes:
        key = (answer.variant, *[(index, answer.outputs[index].shape) for index, _ in chosen])
        found = self._beginnings.get(key)
        if found is None:
            found = self._written(chosen, answer)
            if len(self._beginnings) < _FEW:
                self._beginnings[key] = found
        return found

    def _written(self, chosen: tuple[tuple[int, bool], ...], answer: Answer) -> bytes:
        message = messages.ModelInferResponse(model_name=self._model, model_version=MODEL_VERSION)
        message.parameters["variant"].string_param = answer.variant
        for index, _ in chosen:
            spec, shape = self._specs[index], answer.outputs[index].shape
            message.outputs.add(name=spec.name, datatype=spec.datatype, shape=shape)
        return message.SerializeToString()


def streamed(response: bytes) -> bytes:
    """Return the ModelStreamInferResponse for one serialised ModelInferResponse, the only one to its request."""
    return b"".join(delimited(2, response + FINAL.SerializeToString()))


def streamed_error(text: str, request_id: str) -> bytes:
    """Return the ModelStreamInferResponse for a request that failed."""
    response = messages.ModelInferResponse(id=request_id)
    response.MergeFrom(FINAL)
    return messages.ModelStreamInferResponse(error_message=text, infer_response=response).SerializeToString()


def check_model(model: str, name: str, version: str) -> None:
    """Raise NotFoundError unless the replica serves that model; an empty version means any."""
    if name != model or version not in {"", MODEL_VERSION}:
        raise NotFoundError(f"no such model or version; this replica serves {model!r}, version {MODEL_VERSION}")


def plain(parameters: object) -> dict[str, Parameter]:
    """Return a map of InferParameter as plain values; one without a value is None."""
    found: dict[str, Parameter] = {}
    for name, value in parameters.items():  # type: ignore[attr-defined]  # protobuf's map types have no common name
        kind = value.WhichOneof("parameter_choice")
        found[name] = None if kind is None else getattr(value, kind)
    return found
