"""The protocol over thousands of requests: what is sent arrives, both ways agree, and nothing but words refuses."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import ServingError
from slipstream_runtime.protocol.decoding import Decoder
from slipstream_runtime.protocol.encoding import Encoder
from slipstream_runtime.protocol.request import InferRequest
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Signature

RANGES = {"float16": (-6e4, 6e4), "float32": (-3e38, 3e38), "float64": (-1e308, 1e308)}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def elements(dtype):
    if dtype.hasobject:
        return TEXT
    if dtype.kind == "f":
        low, high = (float(dtype.type(edge)) for edge in RANGES[dtype.name])
        return st.floats(low, high, width=dtype.itemsize * 8)
    return hnp.from_dtype(dtype)


@st.composite
def tensors(draw, datatypes=tuple(NUMPY_TYPES), rows=None):
    """Draw a spec whose batch axis, and maybe others, are free, and an array of it."""
    datatype = draw(st.sampled_from(datatypes))
    tail = draw(st.lists(st.integers(0, 3), max_size=3))
    shape = (rows or draw(st.integers(1, 4)), *tail)
    free = tuple(-1 if draw(st.booleans()) else size for size in tail)
    dtype = NUMPY_TYPES[datatype]
    array = draw(hnp.arrays(dtype, shape, elements=elements(dtype)))
    return datatype, (-1, *free), array


@st.composite
def models(draw, datatypes=tuple(NUMPY_TYPES)):
    """Draw a model of one to three inputs, which are also its outputs, with arrays for them."""
    rows = draw(st.integers(1, 3))
    drawn = draw(st.lists(tensors(datatypes, rows), min_size=1, max_size=3))
    specs = tuple(TensorSpec(f"t{i}", datatype, shape) for i, (datatype, shape, _) in enumerate(drawn))
    return Signature(specs, specs), tuple(array for _, _, array in drawn)


def as_request(answer, header_length):
    """Turn an answer into the request that sends the same tensors."""
    split = len(answer) if header_length is None else header_length
    document = json.loads(answer[:split])
    header = json.dumps({"inputs": document["outputs"], "id": document.get("id")}).encode()
    return header + answer[split:], None if header_length is None else len(header)


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tolist() == b.tolist()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(models(), st.data())
def test_whatever_is_encoded_is_decoded_again(model, data):
    signature, arrays = model
    binary = [spec.datatype == "FP16" or data.draw(st.booleans()) for spec in signature.outputs]
    order = data.draw(st.permutations(range(len(arrays))))
    asked = InferRequest(arrays, arrays[0].shape[0], "an id", tuple((i, binary[i]) for i in order))
    body, header_length = as_request(*Encoder("m", signature).infer(asked, arrays))
    request = Decoder(signature).infer(body, header_length)
    assert_same(request.tensors, arrays)
    assert (request.rows, request.id) == (arrays[0].shape[0], "an id")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models([datatype for datatype in NUMPY_TYPES if datatype != "FP16"]))
def test_the_short_form_is_decoded_again(model):
    signature, arrays = model
    if any(0 in array.shape for array in arrays):
        return  # a nested list of no elements does not tell its inner lengths
    request = Decoder(signature).named(Encoder("m", signature).named(arrays))
    assert_same(request.tensors, arrays)


NUMBERS = ["1", "-1", "0.5", "1e3", "127", "128", "-129", "1e39", "-1e39", "3.4028235e38", "3.4028236e38", "1e-46"]
NUMBERS += [
    "1e999",
    "NaN",
    "Infinity",
    "true",
    "null",
    '"1"',
    "[1]",
    "18446744073709551616",
    "",
    "1,2",
    "01",
    "1.",
    "{}",
]
EXTRA = ["", ',"id":"a"', ',"id":5', ',"id":"a:b"', ',"parameters":{"timeout":5}', ',"parameters":{"priority":-1}']
EXTRA += [
    ',"outputs":[{"name":"t0"}]',
    ',"outputs":[{"name":"z"}]',
    ',"outputs":[{"name":"t0"},{"name":"t0"}]',
    ',"id":"a","id":"b"',
]
EXTRA += [
    ',"parameters":{"sequence_id":3}',
    ',"parameters":{"binary_data_output":true}',
    ',"more":{"a":1}',
    ',"more":{"a":1,"a":2}',
]
INPUT_EXTRA = [
    "",
    ',"parameters":null',
    ',"parameters":{}',
    ',"parameters":{"a":1}',
    ',"name":"t0"',
    ',"parameters":{"binary_data_size":4}',
]
SHAPES = [
    "[1,2]",
    "[2,1]",
    "[0,2]",
    "[2]",
    "[1,-2]",
    "[9223372036854775808,2]",
    "[4611686018427387904,2]",
    "[1.0,2]",
    "[true,2]",
    "2",
]


@st.composite
def odd_requests(draw):
    """Draw the text of a request to one input of shape [-1, 2] that is usual but for a few places."""

    def usual(strange, plain):
        return draw(st.sampled_from(strange)) if draw(st.integers(0, 5)) == 0 else plain

    datatype = draw(st.sampled_from(["FP32", "FP64", "INT8", "INT64", "UINT64", "BOOL", "BYTES"]))
    plain = {"BOOL": "false", "BYTES": '"a"'}.get(datatype, "1")
    data = ",".join(usual([*NUMBERS, "false", '"\\ud800"', '"é:"'], plain) for _ in range(usual([0, 1, 3], 2)))
    data = usual(
        [f"[[{data}]]", f"[{data}", "null", f"[{data},]", f" [ {data} ] ", "[[1],[1]]", "[[],[1]]"], f"[{data}]"
    )
    name, sent = usual(["t1", "", "t0\\u0000", "t\\u0030"], "t0"), usual(["FP16", "BF16", ""], datatype)
    shape, more = usual(SHAPES, "[1,2]"), usual(INPUT_EXTRA, "")
    one = f'{{"name":"{name}","shape":{shape},"datatype":"{sent}","data":{data}{more}}}'
    inputs = usual(["", f"{one},{one}"], one)
    spec = TensorSpec("t0", datatype, (-1, 2))
    return Signature((spec,), (spec,)), f'{{"inputs":[{inputs}]{usual(EXTRA, "")}}}'.encode("utf-8", "surrogatepass")


def outcome(decode, *arguments):
    try:
        request = decode(*arguments)
    except ServingError as error:
        return type(error), str(error)
    tensors = [(array.dtype, array.shape, array.tolist()) for array in request.tensors]
    return tensors, request.rows, request.id, request.outputs or None, request.timeout_seconds, request.priority


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(odd_requests())
def test_the_short_way_and_the_general_way_agree(request_):
    signature, body = request_
    decoder = Decoder(signature)
    assert outcome(decoder.infer, body, None) == outcome(decoder.infer_generally, body, None)


CODES = {"l": "q", "L": "Q"}  # numpy's letters are those of `struct`, but for its longest integers


def reading(body, dtype):
    """Read the data of a request with nothing of ours, or return None when it holds what no `dtype` is."""
    try:
        (sent,) = json.loads(body, parse_constant=float)["inputs"]
        data = sent["data"]
        flat = [value for part in data for value in (part if isinstance(part, list) else [part])]
        kind = {"b": bool, "f": (int, float)}.get(dtype.kind, int)
        good = len(flat) == 2 and all(isinstance(v, kind) and (dtype.kind == "b" or type(v) is not bool) for v in flat)
        return struct.pack(f"<2{CODES.get(dtype.char, dtype.char)}", *flat) if good else None
    except (ValueError, TypeError, KeyError, OverflowError, struct.error):
        return None


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(odd_requests())
def test_what_is_accepted_is_what_a_plain_reading_gives(request_):
    signature, body = request_
    found = outcome(Decoder(signature).infer, body, None)
    dtype = NUMPY_TYPES[signature.inputs[0].datatype]
    if isinstance(found[0], list) and not dtype.hasobject:
        assert np.array(found[0][0][2], dtype).tobytes() == reading(body, dtype)


def mutated(draw, body):
    body = bytearray(body)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            body[at] = draw(st.integers(0, 255))
        elif kind == 1:
            body[at:at] = draw(
                st.sampled_from([b"[", b"]", b"{", b'"', b"\\", b",", b":", b"\xff", b"-", b"e9", b"null"])
            )
        elif kind == 2:
            del body[at : at + draw(st.integers(1, 8))]
        else:
            body[at:at] = body[at : at + draw(st.integers(1, 40))]
        if not body:
            break
    return bytes(body)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(models(), st.data())
def test_damaged_requests_are_answered_or_refused_in_words(model, data):
    signature, arrays = model
    binary = tuple((i, data.draw(st.booleans()) or s.datatype == "FP16") for i, s in enumerate(signature.outputs))
    request = InferRequest(arrays, 1, "id", binary)
    body, header_length = as_request(*Encoder("m", signature).infer(request, arrays))
    body = mutated(data.draw, body)
    decoder = Decoder(signature)
    if header_length is not None:
        header_length = max(0, header_length + data.draw(st.integers(-9, 9)))
    for decode in (lambda: decoder.infer(body, header_length), lambda: decoder.named(body)):
        found = outcome(decode)
        if isinstance(found[1], str):
            assert "\n" not in found[1]
            assert len(found[1]) < 400
    if header_length and header_length <= len(body):
        general = outcome(decoder.infer_generally, body, header_length)
        assert outcome(decoder.infer, body, header_length) == general


@pytest.mark.parametrize("datatype", [d for d in NUMPY_TYPES if d not in {"FP16", "BYTES", "BOOL"}])
def test_long_lists_are_read_in_chunks_to_the_same_numbers(datatype):
    dtype = NUMPY_TYPES[datatype]
    random = np.random.default_rng(1)
    array = (random.integers(0, 100, (3, 70_000)) / (7 if dtype.kind == "f" else 1)).astype(dtype)
    spec = TensorSpec("t0", datatype, (-1, 70_000))
    signature = Signature((spec,), (spec,))
    for data in (array.ravel().tolist(), array.tolist()):
        tensor = {"name": "t0", "shape": array.shape, "datatype": datatype, "data": data}
        for separators in ((",", ":"), (", ", ": ")):
            body = json.dumps({"inputs": [tensor]}, separators=separators).encode()
            assert np.array_equal(Decoder(signature).infer(body, None).tensors[0], array)
