"""Prebuilt gRPC requests with the nonce patched in, and what an answer must hold. Pure."""

from dataclasses import dataclass

from hpack import Encoder, NeverIndexedHeaderTuple

from bench.soak.models import TRAP
from bench.soak.requests import FIRST_NONCE
from slipstream_runtime.rpc.frames import DATA, END_HEADERS, END_STREAM, HEADERS, frame
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_runtime.rpc.wire import delimited, varint

_MARK = FIRST_NONCE + 1
_RAW_OUTPUTS = 6  # the field's number in ModelInferResponse
_PREFIX_BYTES = 5


@dataclass(frozen=True)
class GrpcKind:
    """One kind of call.

    Attributes:
        block: its headers, compressed without reference to earlier ones.
        parts: the bytes of its message around the nonces.
        rows: how many nonces it holds, one after the other.
        typed: whether nonces travel as protobuf's varints, else as little-endian bytes; answers are always the latter.
        fails: whether the model fails on it.
    """

    block: bytes
    parts: tuple[bytes, ...]
    rows: int
    typed: bool = False
    fails: bool = False

    def request(self, stream: int, nonce: int) -> bytes:
        """Return the frames of the whole call on `stream` for `nonce` and its successors."""
        found = [self.parts[0]]
        for row, part in enumerate(self.parts[1:]):
            found += (varint(nonce + row) if self.typed else _raw(nonce + row), part)
        message = b"".join(found)
        content = b"\0" + len(message).to_bytes(4, "big") + message
        return frame(HEADERS, END_HEADERS, stream, self.block) + frame(DATA, END_STREAM, stream, content)

    def answers(self, content: bytes, nonce: int) -> bool:
        """Return whether `content` is one whole answer with exactly the nonces of this call."""
        wanted = b"".join(delimited(_RAW_OUTPUTS, b"".join(_raw(nonce + row) for row in range(self.rows))))
        whole = len(content) == _PREFIX_BYTES + int.from_bytes(content[1:_PREFIX_BYTES], "big")
        return whole and content.endswith(wanted)


def grpc_kinds(model: str) -> dict[str, GrpcKind]:
    """Return the kinds of calls to the replica of `model`."""
    return {
        "one": _kind(model, 1),
        "typed": _kind(model, 1, typed=True),
        "three": _kind(model, 3),
        "trap": _kind(model, 1, trap=TRAP),
        "hasty": _kind(model, 1, timeout="300u"),
    }


def _kind(model: str, rows: int, *, typed: bool = False, trap: int = 0, timeout: str = "") -> GrpcKind:
    message = messages.ModelInferRequest(model_name=model)
    nonces = [_MARK] * rows
    for name, numbers in (("nonce", nonces), ("trap", [trap] * rows)):
        tensor = message.inputs.add(name=name, datatype="INT64", shape=[rows, 1])
        if typed:
            tensor.contents.int64_contents.extend(numbers)
        else:
            message.raw_input_contents.append(b"".join(map(_raw, numbers)))
    mark = varint(_MARK) if typed else _raw(_MARK)
    parts = tuple(message.SerializeToString().split(mark))
    return GrpcKind(_block(timeout), parts, rows, typed, fails=trap == TRAP)


def _block(timeout: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/inference.GRPCInferenceService/ModelInfer",
        ":authority": "soak",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    if timeout:
        fields["grpc-timeout"] = timeout
    return bytes(Encoder().encode([NeverIndexedHeaderTuple(*item) for item in fields.items()]))


def _raw(nonce: int) -> bytes:
    return nonce.to_bytes(8, "little")
