"""The one gRPC message that the benchmark sends, in protobuf's wire format, without generated code. Pure."""

from bench.serving.models import Tensors

_WIRE_TYPES = {"float32": "FP32", "int64": "INT64"}
_BYTES = 2  # protobuf's wire type of everything with a length


def infer_request(model: str, tensors: Tensors) -> bytes:
    """Return an `inference.ModelInferRequest` with raw contents, as the Open Inference Protocol numbers its fields."""
    inputs = b"".join(
        _field(5, _field(1, name.encode()) + _field(2, _WIRE_TYPES[str(array.dtype)].encode()) + _shape(array.shape))
        for name, array in tensors.items()
    )
    raw = b"".join(_field(7, array.tobytes()) for array in tensors.values())
    return _field(1, model.encode()) + inputs + raw


def _shape(shape: tuple[int, ...]) -> bytes:
    return _field(3, b"".join(map(_varint, shape)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
