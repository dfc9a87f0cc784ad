"""The one door to the techniques: a frozen setting picks its function by type.

What needs torch is imported where it is used: torch takes seconds and 200 MB, and every candidate is a process.
"""

from functools import singledispatch

import onnx

from slipstream_builder.arrays import Rows
from slipstream_builder.techniques.configs import (
    ConvertFloat16,
    Optimize,
    PruneChannels,
    PruneWeights,
    QuantizeDynamic,
    QuantizeRows,
    QuantizeStatic,
    QuantizeWeights,
    Technique,
)
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.float16 import convert_float16
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.rows import quantize_rows
from slipstream_builder.techniques.quantization.weights import quantize_weights

__all__ = ["TechniqueContext", "apply", "estimated_operations"]


def apply(technique: Technique, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` changed by `technique`: same inputs and outputs, same batch axis. `model` itself is left alone.

    Raises:
        TechniqueError: this candidate cannot be built; the message says why.
    """
    return _apply(technique, model, context)


def estimated_operations(technique: Technique, model: onnx.ModelProto, rows: Rows) -> float:
    """Return the floating-point operations that training with `rows` would take; 0 where nothing is trained.

    Raises:
        TechniqueError: the model cannot be trained; the message says why.
    """
    if not isinstance(technique, PruneChannels | PruneWeights):
        return 0.0
    from slipstream_builder.techniques.training.prune import training_operations  # noqa: PLC0415

    return training_operations(model, rows)


@singledispatch
def _apply(technique: object, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    raise TypeError(f"no technique is called {type(technique).__name__}")


@_apply.register
def _(technique: Optimize, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    return optimize(model)


@_apply.register
def _(technique: QuantizeDynamic, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    from slipstream_builder.techniques.quantization.dynamic import quantize_dynamic  # noqa: PLC0415

    return quantize_dynamic(model)


@_apply.register
def _(technique: QuantizeStatic, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    from slipstream_builder.techniques.quantization.static import quantize_static  # noqa: PLC0415

    return quantize_static(technique, model, context)


@_apply.register
def _(technique: QuantizeRows, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    return quantize_rows(technique, model)


@_apply.register
def _(technique: QuantizeWeights, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    return quantize_weights(technique, model)


@_apply.register
def _(technique: ConvertFloat16, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    return convert_float16(model)


@_apply.register
def _(technique: PruneChannels, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    from slipstream_builder.techniques.training.prune import prune_channels  # noqa: PLC0415

    return prune_channels(technique, model, context)


@_apply.register
def _(technique: PruneWeights, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    from slipstream_builder.techniques.training.prune import prune_weights  # noqa: PLC0415

    return prune_weights(technique, model, context)
