"""What the confined process hands back: a small description, and beside it the cleaned model."""

from dataclasses import dataclass

from slipstream_contract.manifest import TensorSpec

MODEL, FINDING = "model.onnx", "finding.json"
"""The files it leaves: the cleaned model, when it is fit, and the description."""


@dataclass(frozen=True)
class Finding:
    """Why the model is refused, or what it takes and gives (first axis -1) and how near its torch original is."""

    refusal: str | None = None
    out_of_memory: bool = False
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    agreement: float | None = None
    notes: tuple[str, ...] = ()
