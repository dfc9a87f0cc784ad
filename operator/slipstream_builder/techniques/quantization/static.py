"""Int8 by ONNX Runtime's static quantiser, with the settings that keep accuracy and get int8 kernels at run time.

QDQ form, weights int8 per output channel, activations uint8 with a zero point: what a Relu or a normalised history
leaves is never negative, and gets all 256 levels so. The results of matrix products stay in float32: a hidden result
meets its activation function in float anyway and is quantised after it, and the final scores keep their order (256
levels over a whole catalogue would make ties of the best ten).
"""

from collections.abc import Callable

import onnx
from onnx import shape_inference
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.configs import QuantizeStatic
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.calibration import Ranges, calibrate, chosen
from slipstream_builder.techniques.quantization.editing import drop_unread
from slipstream_builder.techniques.quantization.gemms import with_gemms
from slipstream_builder.techniques.quantization.quiet import quiet
from slipstream_builder.techniques.quantization.sensitivity import output_error, worst
from slipstream_builder.techniques.quantization.tables import with_int8_tables

PRODUCTS = ("Gemm", "MatMul")
NEIGHBOURS = ("Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Relu", "Reshape")
SENSITIVITY_ROWS = 32


def quantize_static(technique: QuantizeStatic, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` in int8 QDQ form, calibrated on at most 512 of the unlabelled rows.

    Raises:
        TechniqueError: ONNX Runtime cannot quantise it, or it has fewer layers than are to stay in float.
    """
    prepared = _named(shape_inference.infer_shapes(with_gemms(with_int8_tables(optimize(model)))))
    try:
        return _quantized(technique, prepared, context)
    except TechniqueError:
        raise
    except Exception as error:
        raise TechniqueError(f"ONNX Runtime cannot quantise the model: {error}") from error


def _quantized(technique: QuantizeStatic, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    kinds, layers = _quantized_types(model), _layers(model)
    if len(layers) <= technique.worst_kept:
        raise TechniqueError(f"{technique.worst_kept} layers are to stay in float, but the model has {len(layers)}")
    share = 0.5 if technique.worst_kept else 1.0
    ranges = calibrate(
        model,
        technique.calibration,
        kinds,
        context,
        lambda part: context.report(share * part, f"calibrating ({technique.calibration})"),
    )

    def within(names: list[str]) -> onnx.ModelProto:
        """Return the model with only these layers, and what stands between layers, in int8."""
        return _with_ranges(technique, model, ranges, kinds, sorted(_weighted(model) - set(names)))

    kept: set[str] = set()
    if technique.worst_kept:
        kept = _worst(technique, model, context, within, layers)
    quantized = within([name for name in layers if name not in kept])
    context.report(1.0, "quantised to int8")
    return quantized


def _worst(
    technique: QuantizeStatic,
    model: onnx.ModelProto,
    context: TechniqueContext,
    within: Callable[[list[str]], onnx.ModelProto],
    layers: list[str],
) -> set[str]:
    error = output_error(model, chosen(context.unlabelled, model, SENSITIVITY_ROWS), context.threads)

    def report(part: float) -> None:
        context.report(0.5 + part / 2, "measuring what each layer's quantisation costs")

    return worst(layers, technique.worst_kept, lambda names: error(within(names)), report)


def _with_ranges(
    technique: QuantizeStatic, model: onnx.ModelProto, ranges: Ranges, kinds: list[str], excluded: list[str]
) -> onnx.ModelProto:
    quantizer = QDQQuantizer(
        graphs.copied(model),
        per_channel=True,
        reduce_range=technique.reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=excluded,
        op_types_to_quantize=kinds,
        extra_options={"OpTypesToExcludeOutputQuantization": list(PRODUCTS)},
    )
    with quiet():
        quantizer.quantize_model()
    quantized: onnx.ModelProto = quantizer.model.model
    drop_unread(quantized.graph)
    return quantized


def _quantized_types(model: onnx.ModelProto) -> list[str]:
    """Only products, unless there are convolutions: then their neighbours too, so that int8 tensors pass between."""
    if any(node.op_type == "Conv" for node in model.graph.node):
        return [*PRODUCTS, "Conv", *NEIGHBOURS]
    return list(PRODUCTS)


def _weighted(model: onnx.ModelProto) -> set[str]:
    """Return the names of all products and convolutions."""
    return {node.name for node in model.graph.node if node.op_type in (*PRODUCTS, "Conv")}


def _layers(model: onnx.ModelProto) -> list[str]:
    """Return the names, in order, of the products and convolutions to quantise: those by constant weights.

    Products of two activations (attention) stay in float: int8 costs them more accuracy than it saves time.
    """
    held, weighted = graphs.constants(model.graph), _weighted(model)
    return [node.name for node in model.graph.node if node.name in weighted and held.keys() & set(node.input)]


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name of its own: the quantiser knows nodes by their names alone."""
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    return model
