"""What the replica tells about itself and its model."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.statistics import model_statistics
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.protocol.signature import BYTES, Signature
from slipstream_runtime.rpc.inference import check_model
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages

PLATFORM = "onnx_onnxv1"
BACKEND = "onnxruntime"
EXTENSIONS = ("parameters", "schedule_policy", "statistics", "model_configuration")

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""grpc.health.v1.HealthCheckResponse with its one field, `status`, set to 1 or 2."""

SERVICE = b"inference.GRPCInferenceService"
Kind = TypeVar("Kind", bound=Message)

HEALTH_OF = (b"", b"\n" + bytes((len(SERVICE),)) + SERVICE)
"""grpc.health.v1.HealthCheckRequest for the whole server, and for the one service."""


@dataclass(frozen=True)
class Catalogue:
    """The answers to every method but inference; `max_rows` is the largest batch, 0 for a model without batches."""

    model: str
    signature: Signature
    health: Health
    telemetry: Telemetry
    max_rows: int
    delay_seconds: float

    def server_live(self, _content: bytes) -> bytes:
        """Answer ServerLive."""
        return messages.ServerLiveResponse(live=self.health.live).SerializeToString()

    def server_ready(self, _content: bytes) -> bytes:
        """Answer ServerReady."""
        return messages.ServerReadyResponse(ready=self.health.ready).SerializeToString()

    def model_ready(self, content: bytes) -> bytes:
        """Answer ModelReady."""
        asked = parsed(messages.ModelReadyRequest(), content)
        check_model(self.model, asked.name, asked.version)
        return messages.ModelReadyResponse(ready=self.health.ready).SerializeToString()

    def server_metadata(self, _content: bytes) -> bytes:
        """Answer ServerMetadata."""
        number = version("slipstream-operator")
        document = messages.ServerMetadataResponse(name="slipstream", version=number, extensions=EXTENSIONS)
        return document.SerializeToString()

    def model_metadata(self, content: bytes) -> bytes:
        """Answer ModelMetadata."""
        asked = parsed(messages.ModelMetadataRequest(), content)
        check_model(self.model, asked.name, asked.version)
        document = messages.ModelMetadataResponse(name=self.model, versions=[MODEL_VERSION], platform=PLATFORM)
        for spec in self.signature.inputs:
            document.inputs.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        for spec in self.signature.outputs:
            document.outputs.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return document.SerializeToString()

    def model_config(self, content: bytes) -> bytes:
        """Answer ModelConfig, in whose shapes the batch axis goes without saying, as Triton has it."""
        asked = parsed(messages.ModelConfigRequest(), content)
        check_model(self.model, asked.name, asked.version)
        config = messages.ModelConfig(name=self.model, platform="onnxruntime_onnx", backend=BACKEND)
        for spec in self.signature.inputs:
            config.input.add(name=spec.name, data_type=data_type(spec), dims=self._dims(spec))
        for spec in self.signature.outputs:
            config.output.add(name=spec.name, data_type=data_type(spec), dims=self._dims(spec))
        if self.signature.batched:
            config.max_batch_size = self.max_rows
            config.dynamic_batching.max_queue_delay_microseconds = round(self.delay_seconds * 1e6)
        config.model_transaction_policy.decoupled = False
        return messages.ModelConfigResponse(config=config).SerializeToString()

    def model_statistics(self, content: bytes) -> bytes:
        """Answer ModelStatistics."""
        asked = parsed(messages.ModelStatisticsRequest(), content)
        if asked.name:
            check_model(self.model, asked.name, asked.version)
        document = ParseDict(model_statistics(self.model, self.telemetry), messages.ModelStatisticsResponse())
        return document.SerializeToString()

    def repository_index(self, content: bytes) -> bytes:
        """Answer RepositoryIndex."""
        asked = parsed(messages.RepositoryIndexRequest(), content)
        document = messages.RepositoryIndexResponse()
        if self.health.ready or not asked.ready:
            state = "READY" if self.health.ready else "UNAVAILABLE"
            document.models.add(name=self.model, version=MODEL_VERSION, state=state)
        return document.SerializeToString()

    def health_check(self, content: bytes) -> bytes | None:
        """Answer grpc.health.v1's Check, which Kubernetes probes call; None when it asks for an unknown service."""
        if content not in HEALTH_OF:
            return None
        return SERVING if self.health.ready else NOT_SERVING

    def _dims(self, spec: TensorSpec) -> tuple[int, ...]:
        return spec.shape[1:] if self.signature.batched else spec.shape


def parsed(message: Kind, content: bytes) -> Kind:
    """Return `message`, filled from `content`.

    Raises:
        BadRequestError: it is another message.
    """
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise BadRequestError("message: cannot be parsed") from error
    return message


def data_type(spec: TensorSpec) -> int:
    """Return Triton's name for the datatype."""
    return messages.DataType.Value("TYPE_STRING" if spec.datatype == BYTES else f"TYPE_{spec.datatype}")
