"""One ONNX Runtime session, opened from bytes that were verified before."""

import logging
import time
from typing import Any

import numpy as np
import onnxruntime as ort

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import StartError, StuckError
from slipstream_runtime.model.accelerator import Accelerator
from slipstream_runtime.model.memory import WithinMemory
from slipstream_runtime.model.padded import PaddedRuns, paddable
from slipstream_runtime.model.plain import PlainRuns
from slipstream_runtime.model.providers import CPU, PROVIDERS, check_placement
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Signature, Tensors

logger = logging.getLogger(__name__)

FATAL = 4
"""ONNX Runtime's log level: it writes errors to stderr in a form of its own, and raises them as well."""

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
    """Runs the model, on the CPU unless given an accelerator."""

    def __init__(
        self, model: bytes, signature: Signature, threads: int, origin: str, accelerator: Accelerator | None = None
    ) -> None:
        """Open `model`; `origin` (its file name) starts every error message.

        Raises:
            StartError: ONNX Runtime refuses the model or cannot run it where asked, or it is not the one the
                manifest describes.
        """
        self.provider = accelerator.name if accelerator else CPU
        self._runs = _opened(model, signature, threads, origin, accelerator)
        self._within = WithinMemory(self._runs.run, accelerator.cap) if accelerator and signature.batched else None
        self._call = self._within.run if self._within else self._runs.run
        self._began = 0.0
        self._stopped = False

    @property
    def exhausted(self) -> bool:
        """Whether the device's memory is exhausted for good, so that no batch will succeed."""
        return self._within is not None and self._within.exhausted

    @property
    def graphs(self) -> bool:
        """Whether its batches run as CUDA graphs."""
        return self._runs.graphs

    @property
    def running_seconds(self) -> float:
        """How long the present run has taken; zero when there is none."""
        began = self._began
        return time.monotonic() - began if began else 0.0

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs for `tensors`; safe on any one thread at a time.

        Raises:
            StuckError: the run was stopped.
        """
        self._began = time.monotonic()
        try:
            return self._call(tensors)
        except Exception as error:
            if self._stopped:
                raise StuckError("the model took too long on this request and was stopped") from error
            raise
        finally:
            self._began = 0.0
            if self._stopped:
                self._stopped = False
                self._runs.reset()

    def stop(self) -> None:
        """End the present run at its next operator, from another thread."""
        self._stopped = True
        self._runs.stop()


def _opened(
    model: bytes, signature: Signature, threads: int, origin: str, accelerator: Accelerator | None
) -> PlainRuns | PaddedRuns:
    if accelerator is None:
        session = _session(model, signature, _options(threads), origin, [(PROVIDERS[CPU], {})])
        check_placement(CPU, session, origin)
        return PlainRuns(session, signature)
    options = _options(threads)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if accelerator.graphs:
        try:
            return _bound(model, signature, options, origin, accelerator, graphs=True)
        except Exception as error:  # noqa: BLE001  # capturing fails in ways of its own for each operator
            reason = str(error).replace("\n", " ")
            logger.info("%s: runs without CUDA graphs: %.200s", origin, reason)
    return _bound(model, signature, options, origin, accelerator, graphs=False)


def _bound(
    model: bytes,
    signature: Signature,
    options: ort.SessionOptions,
    origin: str,
    accelerator: Accelerator,
    *,
    graphs: bool,
) -> PlainRuns | PaddedRuns:
    session = _session(model, signature, options, origin, accelerator.listed(graphs=graphs))
    check_placement(accelerator.name, session, origin)
    if not paddable(signature):
        return PlainRuns(session, signature)
    runs = PaddedRuns(session, signature, accelerator.cap, accelerator.device, accelerator.pin, graphs)
    if graphs:
        # Whether a graph can be captured shows in the first run only.
        runs.run(tuple(np.zeros((1, *spec.shape[1:]), NUMPY_TYPES[spec.datatype]) for spec in signature.inputs))
    return runs


def _session(
    model: bytes, signature: Signature, options: ort.SessionOptions, origin: str, providers: list[tuple[str, Any]]
) -> ort.InferenceSession:
    try:
        # Without the fallback, by which a failing run would silently go on on the CPU.
        session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime raises types of its own, without a common base
        reason = str(error).replace("\n", " ")
        raise StartError(f"{origin}: ONNX Runtime cannot load the model; build it again ({reason:.200})") from error
    # Kept for the fallback only; it is the whole model once more.
    session._model_bytes = None
    _check(origin, "input", session.get_inputs(), signature.inputs)
    _check(origin, "output", session.get_outputs(), signature.outputs)
    return session


def _options(threads: int) -> ort.SessionOptions:
    """Return the session's options.

    The graph is optimised again: it is saved before the fusions for this processor's int8 and block layouts, which
    take up to 20 ms of the start and make convolutions up to 4 times faster.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads burn the cores that the event loop and the other replicas need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of the memory would be kept for every shape that ever came, and is no faster.
    options.enable_mem_pattern = False
    options.log_severity_level = FATAL
    return options


def _check(origin: str, kind: str, found: list[Any], specs: tuple[TensorSpec, ...]) -> None:
    types = {node.name: ORT_TYPES.get(node.type, node.type) for node in found}
    for spec in specs:
        if types.pop(spec.name, None) != spec.datatype:
            raise StartError(f"{origin}: has no {kind} {spec.name!r} of {spec.datatype} as the manifest says")
    if types and kind == "input":
        raise StartError(f"{origin}: has inputs the manifest does not name: {', '.join(types)}")
