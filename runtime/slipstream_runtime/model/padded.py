"""Runs batches in buffers that are made once: on an accelerator for a few numbers of rows, to which batches are padded.

Fixed shapes at fixed addresses are what CUDA graphs, TensorRT's profiles and a flat memory ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Array, Signature, Tensors

CPU_DEVICE = "cpu"


@dataclass(frozen=True)
class Buffers:
    """Everything bound for one number of rows: inputs on the host and on the device, and outputs on the device."""

    host: tuple[Array, ...]
    inputs: tuple[Any, ...]
    binding: Any
    options: ort.RunOptions


def bucket_sizes(cap: int) -> tuple[int, ...]:
    """Return the numbers of rows that batches are padded to: the powers of two below `cap`, and `cap`."""
    powers = [2**power for power in range(cap.bit_length())]
    return (*(size for size in powers if size < cap), cap)


def bucket(rows: int, cap: int) -> int:
    """Return the smallest of the sizes that holds `rows`, of which there are at most `cap`."""
    return min(1 << (rows - 1).bit_length(), cap)


def paddable(signature: Signature) -> bool:
    """Return whether the batch is the inputs' only free axis, so that a few sets of buffers serve all requests.

    Strings have no place in a bound buffer.
    """
    texts = any(spec.datatype == BYTES for spec in (*signature.inputs, *signature.outputs))
    return signature.batched and not signature.bucketed and not texts


class PaddedRuns:
    """Bound runs of `session` on `device`, for batches of at most `cap` rows.

    `pin` is given each host buffer. With `graphs`, each number of rows has its own CUDA graph.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        signature: Signature,
        cap: int,
        device: str = CPU_DEVICE,
        pin: Callable[[Array], None] | None = None,
        graphs: bool = False,
    ) -> None:
        self._session = session
        self._signature = signature
        self._cap = cap
        self._device = device
        self._pin = pin
        self.graphs = graphs
        self._buffers: dict[int, Buffers] = {}
        self._running: Buffers | None = None

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs for `tensors`, each of the same one to `cap` rows."""
        rows = tensors[0].shape[0]
        buffers = self._bound(bucket(rows, self._cap))
        for host, device, tensor in zip(buffers.host, buffers.inputs, tensors, strict=True):
            host[:rows] = tensor
            # The last row again: any real row is safe for the model, and none of an earlier caller's stays behind.
            host[rows:] = tensor[-1]
            device.update_inplace(host)
        self._running = buffers
        self._session.run_with_iobinding(buffers.binding, buffers.options)
        return tuple(self._taken(value.numpy(), rows) for value in buffers.binding.get_outputs())

    def stop(self) -> None:
        """End the present run at its next operator."""
        if self._running is not None:
            self._running.options.terminate = True

    def reset(self) -> None:
        """Let runs go on after one was stopped."""
        if self._running is not None:
            self._running.options.terminate = False

    def _taken(self, found: Array, rows: int) -> Array:
        # From a device the values arrive in an array of their own; on the CPU they lie in the bound buffer, or in
        # memory that the binding hands out again.
        return found[:rows].copy() if self._device == CPU_DEVICE else found[:rows]

    def _bound(self, size: int) -> Buffers:
        found = self._buffers.get(size)
        if found is None:
            found = self._buffers[size] = self._bind(size)
        return found

    def _bind(self, size: int) -> Buffers:
        host = tuple(np.zeros((size, *spec.shape[1:]), NUMPY_TYPES[spec.datatype]) for spec in self._signature.inputs)
        if self._pin is not None:
            for array in host:
                self._pin(array)
        inputs = tuple(ort.OrtValue.ortvalue_from_shape_and_type(a.shape, a.dtype.type, self._device) for a in host)
        binding = self._session.io_binding()
        for spec, value in zip(self._signature.inputs, inputs, strict=True):
            binding.bind_ortvalue_input(spec.name, value)
        self._bind_outputs(binding, size)
        return Buffers(host, inputs, binding, self._options(size))

    def _bind_outputs(self, binding: Any, size: int) -> None:
        for spec in self._signature.outputs:
            if -1 in spec.shape[1:]:
                binding.bind_output(spec.name, self._device)
                continue
            shape, kind = (size, *spec.shape[1:]), NUMPY_TYPES[spec.datatype].type
            binding.bind_ortvalue_output(
                spec.name, ort.OrtValue.ortvalue_from_shape_and_type(shape, kind, self._device)
            )

    def _options(self, size: int) -> ort.RunOptions:
        options = ort.RunOptions()
        if self.graphs:
            # Zero is ONNX Runtime's own; a size is never zero.
            options.add_run_config_entry("gpu_graph_id", str(size))
        return options
