"""Tensors sent as typed contents, and messages with very many parts."""

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.signature import NUMPY_TYPES
from slipstream_runtime.rpc.contents import FIELDS, from_contents
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_runtime.rpc.wire import MAX_PARTS, bounded, varint

SHAPE = (2, 2)


def read(datatype, values, field=None, shape=SHAPE):
    contents = messages.InferTensorContents()
    getattr(contents, field or FIELDS[datatype]).extend(values)
    return from_contents(TensorSpec("x", datatype, (-1, 2)), shape, contents)


@pytest.mark.parametrize("datatype", [name for name in FIELDS if name != "BYTES"])
def test_every_datatype_is_read_from_its_field_with_its_extremes(datatype):
    dtype = NUMPY_TYPES[datatype]
    if dtype.kind == "b":
        values = [True, False, False, True]
    else:
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        values = [limits.min, limits.max, 0, 1]
    array = read(datatype, [value.item() if isinstance(value, np.generic) else value for value in values])
    assert (array.dtype, array.shape) == (dtype, SHAPE)
    assert np.array_equal(array.ravel(), np.array(values, dtype))


def test_strings_are_read_as_text():
    assert read("BYTES", [b"a", b"", b"b c", "é".encode()]).tolist() == [["a", ""], ["b c", "é"]]


@pytest.mark.parametrize(
    ("datatype", "values", "field", "words"),
    [
        ("INT8", [128, 0, 0, 0], None, "out of range for INT8"),
        ("INT8", [-129, 0, 0, 0], None, "out of range for INT8"),
        ("UINT16", [65536, 0, 0, 0], None, "out of range for UINT16"),
        ("FP32", [float("inf"), 0, 0, 0], None, "NaN or an infinite"),
        ("FP32", [1, 2, 3], None, "3 elements"),
        ("FP32", [1, 2, 3, 4], "fp64_contents", "use fp32_contents"),
        ("BYTES", [b"\xff", b"", b"", b""], None, "UTF-8"),
        ("FP16", [1, 2, 3, 4], "fp32_contents", "use raw_input_contents"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(datatype, values, field, words):
    with pytest.raises(BadRequestError, match=f"'x'.*{words}"):
        read(datatype, values, field)


def test_as_many_parts_as_allowed_pass_and_one_more_does_not():
    bounded(b"\x3a\x00" * MAX_PARTS)
    with pytest.raises(BadRequestError, match="more than 4096"):
        bounded(b"\x3a\x00" * (MAX_PARTS + 1))


def test_parts_hidden_in_an_input_count_too():
    many = b"\x22\x00" * MAX_PARTS
    with pytest.raises(BadRequestError, match="more than 4096"):
        bounded(b"\x2a" + varint(len(many)) + many)


def test_a_real_message_passes_and_garbage_is_left_to_the_parser():
    request = messages.ModelInferRequest(model_name="m", raw_input_contents=[bytes(100_000)])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 25_000]).contents.fp32_contents.extend([1.0] * 10_000)
    request.parameters["timeout"].int64_param = 1
    bounded(request.SerializeToString())
    for garbage in (b"\xff" * 100, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x3d\x00", b""):
        bounded(garbage)
