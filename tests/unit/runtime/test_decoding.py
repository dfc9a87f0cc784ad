"""What requests are understood, and in what words the others are refused."""

import json

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.decoding import decode_infer, decode_named
from slipstream_runtime.protocol.signature import Signature

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("k", "INT8", (-1,))), (TensorSpec("y", "FP32", (-1, 1)),)
)
ONE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 1)),))


def tensor(name="x", shape=(1, 2), datatype="FP32", **more):
    return {"name": name, "shape": list(shape), "datatype": datatype, **({"data": [1, 2.5]} | more)}


def infer(*inputs, signature=ONE, **more):
    return decode_infer(signature, json.dumps({"inputs": inputs, **more}).encode(), None)


def test_flat_and_nested_data_give_the_same_tensor():
    flat = infer(tensor(shape=(2, 2), data=[1, 2, 3, 4]))
    nested = infer(tensor(shape=(2, 2), data=[[1, 2], [3, 4]]))
    assert flat.rows == nested.rows == 2
    assert np.array_equal(flat.tensors[0], nested.tensors[0])
    assert flat.tensors[0].dtype == np.float32


def test_inputs_are_put_in_the_order_of_the_model():
    request = infer(tensor("k", (1,), "INT8", data=[-3]), tensor(), signature=SIGNATURE, id="a")
    assert [array.dtype for array in request.tensors] == [np.float32, np.int8]
    assert request.id == "a"


def test_binary_tensors_are_read_in_order_of_appearance():
    raw = np.array([[1, 2]], "<f4").tobytes() + np.array([5], "i1").tobytes()
    head = {
        "inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
            {"name": "k", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": 1}},
        ],
        "parameters": {"binary_data_output": True, "timeout": 2000},
    }
    header = json.dumps(head).encode()
    request = decode_infer(SIGNATURE, header + raw, len(header))
    assert request.tensors[0].tolist() == [[1, 2]]
    assert request.tensors[1].tolist() == [5]
    assert request.outputs == ((0, True),)
    assert request.timeout_seconds == pytest.approx(0.002)


def test_a_body_without_header_is_one_binary_input_of_derived_shape():
    request = decode_infer(ONE, np.zeros((3, 2), "<f4").tobytes(), 0)
    assert request.rows == 3
    assert request.outputs == ((0, True),)


def test_the_short_form_names_inputs():
    request = decode_named(ONE, b'{"x": [[1, 2], [3, 4]]}')
    assert request.rows == 2


REFUSED = {
    "not JSON": (b"{", "body: not JSON"),
    "a list": (b"[]", "Expected `object`"),
    "no inputs": (b'{"inputs": []}', "input 'x': missing"),
    "deep nesting": (b'{"inputs": [{"data": ' + b"[" * 100_000, "nested too deeply"),
    "deep data": (json.dumps({"inputs": [tensor(data=[])]}).replace("[]", "[" * 40 + "]" * 40).encode(), "levels"),
    "NaN literal": (b'{"inputs": [{"name":"x","shape":[1,2],"datatype":"FP32","data":[NaN,1]}]}', "not JSON"),
    "1e999": (b'{"inputs": [{"name":"x","shape":[1,2],"datatype":"FP32","data":[1e999,1]}]}', "out of range"),
    "over float32": (b'{"inputs": [{"name":"x","shape":[1,2],"datatype":"FP32","data":[1e39,1]}]}', "out of range for FP32"),
}


@pytest.mark.parametrize(("body", "words"), REFUSED.values(), ids=REFUSED)
def test_malformed_bodies_are_refused(body, words):
    with pytest.raises(BadRequestError, match=words):
        decode_infer(ONE, body, None)


MISFITS = {
    "unknown input": (tensor("z"), "unknown; the model takes x"),
    "wrong datatype": (tensor(datatype="INT64"), "datatype must be FP32"),
    "wrong rank": (tensor(shape=(2,)), "does not fit"),
    "wrong size": (tensor(shape=(1, 3), data=[1, 2, 3]), "does not fit"),
    "negative size": (tensor(shape=(-1, 2)), "does not fit"),
    "overflowing size": (tensor(shape=(2**40, 2)), "elements"),
    "no rows": (tensor(shape=(0, 2), data=[]), "no rows"),
    "too few elements": (tensor(shape=(2, 2)), "elements"),
    "ragged": (tensor(data=[[1], [1, 2]]), "differ in length"),
    "uneven depth": (tensor(data=[[1], 2]), "differ in length"),
    "boolean for number": (tensor(data=[True, 1]), "Expected `float`"),
    "text for number": (tensor(data=["1.5", 1]), "Expected `float`"),
    "no data": ({"name": "x", "shape": [1, 2], "datatype": "FP32"}, "no list"),
    "binary size past the end": (tensor(data=[], parameters={"binary_data_size": 8}), "not both"),
}


@pytest.mark.parametrize(("sent", "words"), MISFITS.values(), ids=MISFITS)
def test_tensors_that_do_not_fit_are_refused(sent, words):
    with pytest.raises(BadRequestError, match=words):
        infer(sent)


def test_an_input_sent_twice_is_refused():
    with pytest.raises(BadRequestError, match="sent twice"):
        infer(tensor(), tensor())


def test_inputs_of_different_batch_are_refused():
    with pytest.raises(BadRequestError, match="first axis"):
        infer(tensor(), tensor("k", (2,), "INT8", data=[1, 2]), signature=SIGNATURE)


def test_an_integer_out_of_range_is_refused():
    with pytest.raises(BadRequestError, match="out of range for INT8"):
        infer(tensor(), tensor("k", (1,), "INT8", data=[300]), signature=SIGNATURE)


def binary(size, raw):
    header = json.dumps({"inputs": [tensor(data=None, parameters={"binary_data_size": size})]})
    header = header.replace(', "data": null', "").encode()
    return header + raw, len(header)


BAD_BINARY = {
    "truncated": (binary(8, b"1234"), "past the end"),
    "of another size than its shape": (binary(4, b"1234"), "want 8"),
    "followed by more": (binary(8, b"\0" * 12), "4 bytes follow"),
    "negative": (binary(-8, b"\0" * 8), "number of bytes"),
    "not a number of bytes": (binary("8", b"\0" * 8), "number of bytes"),
    "not finite": (binary(8, np.array([np.nan, 1], "<f4").tobytes()), "finite"),
    "shorter than its header": ((b"{}", 5), "between 0 and"),
    "headless and ragged": ((b"\0" * 9, 0), "whole number of rows"),
}


@pytest.mark.parametrize(("sent", "words"), BAD_BINARY.values(), ids=BAD_BINARY)
def test_a_bad_binary_body_is_refused(sent, words):
    with pytest.raises(BadRequestError, match=words):
        decode_infer(ONE, *sent)


def test_unknown_outputs_are_refused():
    with pytest.raises(BadRequestError, match="the model gives y"):
        infer(tensor(), outputs=[{"name": "z"}])


@pytest.mark.parametrize("timeout", [0, -1, 1.5, True, "soon"])
def test_a_timeout_must_be_positive_microseconds(timeout):
    with pytest.raises(BadRequestError, match="microseconds"):
        infer(tensor(), parameters={"timeout": timeout})
