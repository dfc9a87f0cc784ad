"""Turns the fetched bytes into a model that can be built from: ONNX, safe, runnable, with a free batch axis."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from slipstream_builder.errors import SourceError
from slipstream_builder.fetching.addresses import redacted
from slipstream_builder.fetching.fetch import Fetched
from slipstream_builder.sources import confinement
from slipstream_builder.sources.finding import MODEL
from slipstream_builder.sources.kinds import EXPORT
from slipstream_builder.sources.rows import synthetic_rows
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Accelerator

__all__ = ["SourceModel", "load", "refuse_pickles", "synthetic_rows"]

_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")


@dataclass(frozen=True)
class SourceModel:
    """A checked model, the digest of the file it came from, and its inputs and outputs (first axis -1).

    `agreement` is the largest difference between the ONNX and the torch program it was made from, relative to the
    output's largest magnitude; None for a file that was ONNX already. `notes` say in words what was done to the model.
    """

    proto: onnx.ModelProto
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    agreement: float | None = None
    notes: tuple[str, ...] = ()


def refuse_pickles(uri: str) -> None:
    """Refuse, by its name and before it is fetched, a file that only executing it could open.

    Raises:
        SourceError: the name is that of a pickled checkpoint.
    """
    if re.split("[?#]", uri)[0].lower().endswith(_PICKLES):
        raise SourceError(
            f"model {redacted(uri)}: a pickled checkpoint runs code when loaded, so it is never opened; {EXPORT}"
        )


def load(
    fetched: Fetched, threads: int, accelerator: Accelerator = "cpu", limits: confinement.Limits | None = None
) -> SourceModel:
    """Return the fetched model, checked in a process of its own, and with a free batch axis.

    Raises:
        SourceError: the bytes are no safe, runnable model, as ONNX or as a torch.export program, that takes batches.
        OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="source-") as name:
        folder = Path(name)
        source = folder / "source"
        source.write_bytes(fetched.content)
        finding = confinement.inspect(source, folder, threads, accelerator, limits)
        source.unlink()
        proto = onnx.load_model(folder / MODEL, load_external_data=False)
    return SourceModel(proto, fetched.sha256, finding.inputs, finding.outputs, finding.agreement, finding.notes)
