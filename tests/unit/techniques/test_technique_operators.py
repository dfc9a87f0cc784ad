"""Every operator form that can be trained answers in torch as in ONNX Runtime; the others are refused in words."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.conversion.interpreter import Interpreter

GENERATOR = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


IMAGE, LINE, MATRIX = (2, 4, 9, 7), (2, 4, 9), (3, 8)
CASES = {
    "pool rounding up": ("MaxPool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, 17),
    "pool padded as TensorFlow does": (
        "MaxPool", IMAGE, [], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, 17
    ),
    "mean that leaves padding out": (
        "AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, 17
    ),
    "mean that counts padding": (
        "AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [1, 0, 1, 0], "count_include_pad": 1}, 17
    ),
    "mean padded unevenly": ("AveragePool", IMAGE, [], {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, 17),
    "mean rounding up": (
        "AveragePool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, 17
    ),
    "convolution padded as TensorFlow does": (
        "Conv", IMAGE, [floats(6, 4, 3, 3), floats(6)], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, 17
    ),
    "convolution padded below": ("Conv", IMAGE, [floats(6, 4, 2, 2)], {"auto_pad": "SAME_LOWER"}, 17),
    "convolution in groups": ("Conv", IMAGE, [floats(6, 2, 3, 3), floats(6)], {"group": 2, "dilations": [2, 2]}, 17),
    "convolution upwards": (
        "ConvTranspose",
        IMAGE,
        [floats(4, 6, 3, 3), floats(6)],
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        17,
    ),
    "one-dimensional convolution": ("Conv", LINE, [floats(5, 4, 3)], {"pads": [1, 2]}, 17),
    "instance normalisation": ("InstanceNormalization", IMAGE, [floats(4), floats(4)], {"epsilon": 1e-3}, 17),
    "group normalisation by channel": (
        "GroupNormalization", IMAGE, [floats(4), floats(4)], {"num_groups": 2}, 21
    ),
    "layer normalisation over two axes": ("LayerNormalization", LINE, [floats(4, 9), floats(4, 9)], {"axis": 1}, 17),
    "softmax of old over all later axes": ("Softmax", LINE, [], {"axis": 1}, 11),
    "softmax of old by default": ("LogSoftmax", LINE, [], {}, 11),
    "softmax": ("Softmax", LINE, [], {}, 17),
    "exact Gelu": ("Gelu", MATRIX, [], {}, 20),
    "approximate Gelu": ("Gelu", MATRIX, [], {"approximate": "tanh"}, 20),
    "hard swish": ("HardSwish", MATRIX, [], {}, 17),
    "hard sigmoid": ("HardSigmoid", MATRIX, [], {"alpha": 0.3}, 17),
    "Clip from below": ("Clip", MATRIX, [np.array(0.1, np.float32)], {}, 17),
    "parametric ReLU": ("PRelu", IMAGE, [floats(4, 1, 1)], {}, 17),
    "squeeze of old": ("Squeeze", (3, 1, 8), [], {"axes": [1]}, 11),
    "unsqueeze of old": ("Unsqueeze", MATRIX, [], {"axes": [0, 3]}, 11),
    "sum of old": ("ReduceSum", LINE, [], {"axes": [1], "keepdims": 0}, 11),
    "mean over axes given as input": ("ReduceMean", LINE, [ints(-1)], {"keepdims": 0}, 18),
    "mean over everything": ("ReduceMean", LINE, [], {}, 17),
    "mean over nothing": ("ReduceMean", LINE, [], {"noop_with_empty_axes": 1}, 18),
    "slice backwards": ("Slice", LINE, [ints(8), ints(1), ints(2), ints(-3)], {}, 17),
    "slice to the whole": ("Slice", LINE, [ints(-7), ints(2**62), ints(2), ints(2)], {}, 17),
    "expand": ("Expand", (3, 1, 8), [ints(4, 1)], {}, 17),
    "tile": ("Tile", MATRIX, [ints(2, 1)], {}, 17),
    "upper triangle": ("Trilu", MATRIX, [np.array(1)], {}, 17),
    "pad in mirror": ("Pad", IMAGE, [ints(0, 0, 1, 2, 0, 0, 2, 1)], {"mode": "reflect"}, 17),
    "pad with the edge": ("Pad", IMAGE, [ints(0, 0, 1, 2, 0, 0, 2, 1)], {"mode": "edge"}, 17),
    "pad chosen axes": ("Pad", IMAGE, [ints(1, 2), np.array(3.0, np.float32), ints(-1)], {}, 18),
    "nearest neighbours, doubled": (
        "Resize",
        IMAGE,
        [None, np.array([1, 1, 2, 2], np.float32)],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        17,
    ),
    "bilinear to a size": ("Resize", IMAGE, [None, None, ints(2, 4, 12, 11)], {"mode": "linear"}, 17),
    "bilinear between corners": (
        "Resize",
        IMAGE,
        [None, None, ints(2, 4, 12, 11)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        17,
    ),
    "product, scaled": ("Gemm", MATRIX, [floats(8, 5), floats(1, 5)], {"alpha": 0.5, "beta": 2.0}, 17),
    "product of transposes": ("Gemm", MATRIX, [floats(5, 3), floats(5)], {"transA": 1, "transB": 1}, 17),
    "sum over an index": ("Einsum", MATRIX, [floats(8, 5)], {"equation": "ij,jk->ki"}, 17),
    "mean of several": ("Mean", MATRIX, [floats(3, 8), floats(1, 8)], {}, 17),
    "largest of several": ("Max", MATRIX, [floats(3, 8), floats(1, 8)], {}, 17),
    "length": ("LpNormalization", MATRIX, [], {"axis": 1}, 17),
    "running sum": ("CumSum", MATRIX, [np.array(1)], {}, 17),
}  # fmt: skip


def graph_of(op_type, shape, constants, attributes, opset) -> onnx.ModelProto:
    names = ["" if array is None else f"c{number}" for number, array in enumerate(constants)]
    held = [numpy_helper.from_array(a, n) for a, n in zip(constants, names, strict=True) if a is not None]
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", *names], ["y"], name="node", **attributes)],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("case", CASES)
def test_an_operator_answers_in_torch_as_in_onnx_runtime(case):
    model, x = graph_of(*CASES[case]), floats(*CASES[case][1])

    with torch.no_grad():
        (got,) = Interpreter(model)(torch.from_numpy(x))

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"x": x})[0]
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("attributes", "opset", "constants", "widths"),
    [
        ({"axis": 1, "split": [3, 5]}, 11, [], [3, 5]),
        ({"axis": 1}, 13, [ints(2, 6)], [2, 6]),
        ({"axis": 1}, 13, [], [4, 4]),
        ({"axis": 1, "num_outputs": 2}, 18, [], [4, 4]),
    ],
)
def test_a_split_gives_its_parts_whatever_the_form(attributes, opset, constants, widths):
    model = graph_of("Split", MATRIX, constants, attributes, opset)
    model.graph.node[0].output.append("z")
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    x = floats(*MATRIX)

    parts = Interpreter(model)(torch.from_numpy(x))

    assert [part.shape[1] for part in parts] == widths
    np.testing.assert_array_equal(torch.cat(parts, 1).numpy(), x)


@pytest.mark.parametrize(
    ("op_type", "reason"), [("LSTM", "loop over time"), ("If", "run time"), ("QuantizeLinear", "quantised already")]
)
def test_an_operator_that_cannot_be_trained_is_refused_with_the_reason(op_type, reason):
    with pytest.raises(TechniqueError, match=f"operator {op_type} .*{reason}"):
        Interpreter(graph_of(op_type, MATRIX, [], {}, 17))
