"""Graph optimisation that any ONNX Runtime profits from: nothing in it depends on the machine it ran on."""

import onnx
import onnxslim
from onnx import version_converter

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs

OLDEST_OPSET = 13


def optimize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with constants folded, dead and repeated nodes removed, batch normalisation merged.

    Opsets before 13 are raised to 13, which the other techniques need (per-channel scales came with it).

    Raises:
        TechniqueError: the model cannot be simplified.
    """
    try:
        slimmed: onnx.ModelProto = onnxslim.slim(_modern(graphs.copied(model)))
        onnx.checker.check_model(slimmed)
    except Exception as error:
        raise TechniqueError(f"the graph cannot be simplified: {error}") from error
    return slimmed


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    return version_converter.convert_version(model, OLDEST_OPSET) if graphs.opset(model) < OLDEST_OPSET else model
