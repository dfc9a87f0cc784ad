"""What requests are understood, and in what words the others are refused."""

import json

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError, UnsupportedError
from slipstream_runtime.protocol.decoding import Decoder
from slipstream_runtime.protocol.numbers import CHUNK_BYTES
from slipstream_runtime.protocol.signature import Signature

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("k", "INT8", (-1,))), (TensorSpec("y", "FP32", (-1, 1)),)
)
ONE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 1)),))


def tensor(name="x", shape=(1, 2), datatype="FP32", **more):
    return {"name": name, "shape": list(shape), "datatype": datatype, **({"data": [1, 2.5]} | more)}


def decode_infer(signature, body, header_length):
    return Decoder(signature).infer(body, header_length)


def decode_named(signature, body):
    return Decoder(signature).named(body)


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
    "over float32": (
        b'{"inputs": [{"name":"x","shape":[1,2],"datatype":"FP32","data":[1e39,1]}]}',
        "out of range for FP32",
    ),
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


def parameters(**given):
    return infer(tensor(), parameters=given)


@pytest.mark.parametrize("priority", [-1, 1.5, True, "high", 2**63])
def test_a_priority_must_be_a_whole_number(priority):
    with pytest.raises(BadRequestError, match="priority must be a whole number"):
        parameters(priority=priority)


def test_priority_and_timeout_are_read_and_unknown_parameters_ignored():
    request = parameters(priority=2, timeout=1500, headers="x", triton_x=1)
    assert (request.priority, request.timeout_seconds) == (2, 0.0015)


@pytest.mark.parametrize("given", [{"sequence_id": 7}, {"sequence_id": "a"}, {"sequence_start": True}])
def test_sequences_are_refused_as_unsupported(given):
    with pytest.raises(UnsupportedError, match="keeps no state"):
        parameters(**given)


def test_no_sequence_is_what_zero_means():
    assert parameters(sequence_id=0, sequence_start=False, sequence_end=False).rows == 1


def test_classification_is_refused_as_unsupported():
    with pytest.raises(UnsupportedError, match="output 'y': classification"):
        infer(tensor(), outputs=[{"name": "y", "parameters": {"classification": 3}}])


@pytest.mark.parametrize("place", ["input", "output"])
def test_shared_memory_is_refused_as_unsupported(place):
    region = {"parameters": {"shared_memory_region": "secret"}}
    with pytest.raises(UnsupportedError, match=f"{place} .*shared_memory_region is not supported"):
        infer(
            tensor(**(region if place == "input" else {})),
            outputs=[{"name": "y"} | (region if place == "output" else {})],
        )


def test_an_output_cannot_be_asked_for_twice():
    with pytest.raises(BadRequestError, match="asked for twice"):
        infer(tensor(), outputs=[{"name": "y"}, {"name": "y"}])


@pytest.mark.parametrize("flag", [1, "true", 0.5])
def test_a_flag_is_true_or_false(flag):
    with pytest.raises(BadRequestError, match="binary_data must be true or false"):
        infer(tensor(), outputs=[{"name": "y", "parameters": {"binary_data": flag}}])
    with pytest.raises(BadRequestError, match="binary_data_output must be true or false"):
        parameters(binary_data_output=flag)


def test_a_huge_id_is_not_echoed():
    with pytest.raises(BadRequestError, match="id: longer than 1024"):
        infer(tensor(), id="x" * 1025)


USUAL = '{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}'
TWICE = {
    "inputs": USUAL.replace('{"inputs"', '{"inputs":[],"inputs"'),
    "data": USUAL.replace('"data"', '"data":[3,4],"data"'),
    "data written otherwise": USUAL.replace('"data"', '"d\\u0061ta":[3,4],"data"'),
    "data with a space": USUAL.replace('"data"', '"data" :[3,4],"data"'),
    "id": USUAL[:-1] + ',"id":"a","id":"b"}',
    "a parameter": USUAL[:-1] + ',"parameters":{"timeout":5,"timeout":5000000}}',
    "a member nobody knows": USUAL[:-1] + ',"z":1,"z":2}',
}


@pytest.mark.parametrize("body", TWICE.values(), ids=TWICE)
def test_a_member_given_twice_is_refused(body):
    with pytest.raises(BadRequestError, match="given twice in one object"):
        decode_infer(ONE, body.encode(), None)


def test_an_input_of_the_short_form_given_twice_is_refused():
    with pytest.raises(BadRequestError, match="'x' is given twice"):
        decode_named(ONE, b'{"x": [[1, 2]], "x": [[3, 4]]}')


def test_colons_in_texts_are_not_members():
    assert decode_infer(ONE, (USUAL[:-1] + ',"id":"a:b{\\"c\\":"}').encode(), None).id == 'a:b{"c":'


SHAPES = {
    "2**63": [2**63, 2],
    "a product past 2**64": [2**33, 2**33],
    "a thousand digits": [10**999, 2],
    "many axes": [1] * 100_000,
    "negative": [1, -2],
    "minus 2**63": [-(2**63), 2],
    "a fraction": [1.5, 2],
    "a truth": [True, 2],
    "a text": ["1", 2],
    "none": [],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_impossible_shapes_are_refused_in_one_short_line(shape):
    with pytest.raises(BadRequestError, match=r"input 'x'|shape|body: (Integer|Number)") as refused:
        infer(tensor(shape=shape))
    assert len(str(refused.value)) < 300


NOT_TEXT = {
    "not UTF-8": b"\xff\xfe",
    "a lone surrogate": b"\\ud800",
    "an overlong form": b"\xc0\x80",
    "half a surrogate pair": b"\\ud83d\\u0041",
}


@pytest.mark.parametrize("text", NOT_TEXT.values(), ids=NOT_TEXT)
@pytest.mark.parametrize(
    "place", [b'{"id":"%b","inputs":[]}', b'{"inputs":[{"name":"%b","shape":[],"datatype":"","data":[]}]}']
)
def test_what_is_no_text_is_refused(place, text):
    with pytest.raises(BadRequestError, match=r"^body: not "):
        decode_infer(ONE, place % text, None)


def test_misaligned_binary_tensors_are_moved_into_place():
    for spaces in range(8):
        header = USUAL.replace('"data":[1,2]', '"parameters":{"binary_data_size":8}').encode() + b" " * spaces
        for decode in (Decoder(ONE).infer, Decoder(ONE).infer_generally):
            (array,) = decode(header + np.array([3, 4], "<f4").tobytes(), len(header)).tensors
            assert array.flags.aligned
            assert array.tolist() == [[3, 4]]


MIXED = Signature(
    (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT8", (-1,)), TensorSpec("c", "FP64", (-1,))), ONE.outputs
)


def test_json_and_binary_inputs_mix_in_any_order():
    inputs = [
        {"name": "c", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
        {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]},
        {"name": "b", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": 1}},
    ]
    header = json.dumps({"inputs": inputs}).encode()
    request = decode_infer(MIXED, header + np.array([0.5]).tobytes() + b"\x07", len(header))
    assert [array.tolist() for array in request.tensors] == [[[1, 2]], [7], [0.5]]


def test_fp16_has_no_json_form():
    half = Signature((TensorSpec("h", "FP16", (-1,)),), ONE.outputs)
    with pytest.raises(BadRequestError, match="input 'h': FP16 has no JSON form; send it as a binary tensor"):
        infer({"name": "h", "shape": [1], "datatype": "FP16", "data": [1]}, signature=half)


def test_a_single_row_of_the_short_form_may_leave_out_the_batch_axis():
    assert decode_named(ONE, b'{"x": [1, 2]}').tensors[0].tolist() == [[1, 2]]
    both = decode_named(SIGNATURE, b'{"x": [[1, 2]], "k": [3]}')
    assert both.tensors[0].tolist() == [[1, 2]]


def test_a_missing_axis_in_only_one_input_is_no_single_row():
    two = Signature((ONE.inputs[0], TensorSpec("z", "FP32", (-1, 2))), ONE.outputs)
    assert decode_named(two, b'{"x": [1, 2], "z": [3, 4]}').rows == 1
    with pytest.raises(BadRequestError, match=r"input 'x': shape \[2\] does not fit"):
        decode_named(two, b'{"x": [1, 2], "z": [[3, 4]]}')


@pytest.mark.parametrize("data", [b"[[%b1],[]]", b"[[%b],[1]]"], ids=["after", "before"])
def test_an_empty_list_beside_a_full_one_is_found_at_the_edge_of_a_chunk_too(data):
    column = Signature((TensorSpec("x", "FP32", (-1, 1)),), ONE.outputs)
    for blanks in (0, CHUNK_BYTES):
        with pytest.raises(BadRequestError, match="differ in length"):
            decode_named(column, b'{"x":%b}' % (data % (b" " * blanks)))


def test_a_tensor_is_sent_once_as_json_or_as_bytes():
    header = USUAL.replace('"data"', '"parameters":{"binary_data_size":8},"data"').encode()
    with pytest.raises(BadRequestError, match="input 'x': send data or binary_data_size, not both"):
        decode_infer(ONE, header + b"\0" * 8, len(header))
    empty = header.replace(b":[1,2]}", b":null}")
    assert decode_infer(ONE, empty + b"\0" * 8, len(empty)).rows == 1
