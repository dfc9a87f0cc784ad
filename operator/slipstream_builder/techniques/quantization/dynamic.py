"""Int8 by ONNX Runtime's dynamic quantiser: quick and without calibration, but batchmates share a scale."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime import quantization

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.editing import drop_unread
from slipstream_builder.techniques.quantization.gemms import with_gemms
from slipstream_builder.techniques.quantization.quiet import quiet


def quantize_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with int8 weights per channel, and activations quantised by the batch at run time.

    Raises:
        TechniqueError: ONNX Runtime cannot quantise it.
    """
    prepared = with_gemms(optimize(model))
    try:
        with tempfile.TemporaryDirectory(prefix="slipstream-") as folder, quiet():
            target = Path(folder) / "quantized.onnx"
            quantization.quantize_dynamic(prepared, target, per_channel=True, weight_type=quantization.QuantType.QInt8)
            quantized = onnx.load_model(target)
    except Exception as error:
        raise TechniqueError(f"ONNX Runtime cannot quantise the model: {error}") from error
    drop_unread(quantized.graph)
    return quantized
