"""Tensors whose data does not fit."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from slipstream_testing.bad_models.networks import network, with_weight
from slipstream_testing.bad_models.registry import bad


@bad("negative size")
def negative_size() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-4, 4], raw_data=b"\0" * 64))


@bad("more than a build takes")
def sizes_that_overflow() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 40], raw_data=b""))


@bad("instead of 64")
def too_little_raw_data() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=b"\0" * 60))


@bad("instead of 64")
def too_much_raw_data() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=b"\0" * 128))


@bad("instead of 16")
def too_few_values() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], float_data=[1.0]))


@bad("instead of 3")
def packed_data_of_the_wrong_length() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.INT4, dims=[5], raw_data=b"\0" * 5))


@bad("unknown type 99")
def type_that_does_not_exist() -> onnx.ModelProto:
    return with_weight(TensorProto(name="w", data_type=99, dims=[1], raw_data=b"\0"))


@bad("nothing but NaN")
def weights_of_nan() -> onnx.ModelProto:
    return network(helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.full((16, 16), np.nan)})
