"""One ONNX Runtime session on the CPU, opened from bytes that were verified before."""

from collections.abc import Callable
from typing import Any

import onnxruntime as ort

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import StartError
from slipstream_runtime.protocol.signature import Signature, Tensors

PROVIDER = "CPUExecutionProvider"

ORT_TYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


class Session:
    """Runs the model."""

    def __init__(self, model: bytes, signature: Signature, threads: int, origin: str) -> None:
        """Open `model`; `origin` (its file name) starts every error message.

        Raises:
            StartError: ONNX Runtime refuses the model, or it is not the one the manifest describes.
        """
        try:
            self._session = ort.InferenceSession(model, _options(threads), providers=[PROVIDER])
        except Exception as error:  # ONNX Runtime raises types of its own, without a common base
            reason = str(error).replace("\n", " ")
            raise StartError(f"{origin}: ONNX Runtime cannot load the model; build it again ({reason:.200})") from error
        if self._session.get_providers()[0] != PROVIDER:
            raise StartError(f"{origin}: {PROVIDER} was asked for, ONNX Runtime chose {self._session.get_providers()}")
        _check(origin, "input", self._session.get_inputs(), signature.inputs)
        _check(origin, "output", self._session.get_outputs(), signature.outputs)
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._call: Callable[..., list[Any]] = self._session.run

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs for `tensors`; safe on any one thread at a time."""
        return tuple(self._call(self._outputs, dict(zip(self._inputs, tensors, strict=True))))


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads burn the cores that the event loop and the other replicas need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _check(origin: str, kind: str, found: list[Any], specs: tuple[TensorSpec, ...]) -> None:
    types = {node.name: ORT_TYPES.get(node.type, node.type) for node in found}
    for spec in specs:
        if types.pop(spec.name, None) != spec.datatype:
            raise StartError(f"{origin}: has no {kind} {spec.name!r} of {spec.datatype} as the manifest says")
    if types and kind == "input":
        raise StartError(f"{origin}: has inputs the manifest does not name: {', '.join(types)}")
