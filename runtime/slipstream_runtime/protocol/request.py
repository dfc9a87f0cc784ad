"""What a decoded request is, whatever protocol it came by."""

import msgspec

from slipstream_runtime.protocol.signature import Tensors


class InferRequest(msgspec.Struct):
    """A checked request: the inputs, and how the caller wants the answer."""

    tensors: Tensors
    rows: int
    id: str | None = None
    outputs: tuple[tuple[int, bool], ...] = ()
    """Which outputs, and whether each goes out as a binary tensor; empty for all of them as JSON."""
    timeout_seconds: float | None = None
    priority: int = 0
    """As Triton counts: 1 is the most urgent, larger numbers are less so, 0 is the default level."""
