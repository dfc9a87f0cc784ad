"""Runs batches as they come: on the CPU, and where inputs have free axes besides the batch."""

from collections.abc import Callable
from typing import Any

import onnxruntime as ort

from slipstream_runtime.protocol.signature import Signature, Tensors


class PlainRuns:
    """Runs of `session` without buffers of their own.

    Bound buffers would save 2.5 us a batch on the CPU, of which the smallest model takes 7 with one row, and would
    cost the padding or a binding for each shape. They are never CUDA graphs, which ask for bound buffers.
    """

    graphs = False

    def __init__(self, session: ort.InferenceSession, signature: Signature) -> None:
        self._names = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._options = ort.RunOptions()
        self._call: Callable[..., list[Any]] = session.run

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs for `tensors`."""
        return tuple(self._call(self._outputs, dict(zip(self._names, tensors, strict=True)), self._options))

    def stop(self) -> None:
        """End the present run at its next operator."""
        self._options.terminate = True

    def reset(self) -> None:
        """Let runs go on after one was stopped."""
        self._options.terminate = False
