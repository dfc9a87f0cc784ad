"""Float16 by ONNX Runtime's own converter: inputs and outputs keep their types, and casts stand at the borders."""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.optimize import optimize


def convert_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with float32 weights and arithmetic in float16; values beyond its range are clipped to it.

    Raises:
        TechniqueError: ONNX Runtime cannot convert it, or nothing in it is float32.
    """
    prepared = optimize(model)
    if not any(array.dtype == "float32" for array in graphs.constants(prepared.graph).values()):
        raise TechniqueError("no float32 weights: nothing to keep in float16")
    try:
        converted: onnx.ModelProto = convert_float_to_float16(prepared, keep_io_types=True)
        OnnxModel(converted).topological_sort()  # the converter puts its casts at the end
        onnx.checker.check_model(converted)
    except Exception as error:
        raise TechniqueError(f"ONNX Runtime cannot convert the model to float16: {error}") from error
    del converted.graph.value_info[:]
    return converted
