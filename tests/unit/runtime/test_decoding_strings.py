"""Strings in JSON and as binary tensors, and what is no string."""

import json

import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.decoding import Decoder
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.protocol.strings import MAX_STRINGS

TEXTS = Signature((TensorSpec("t", "BYTES", (-1, 2)),), (TensorSpec("t", "BYTES", (-1, 2)),))


def listed(data, count=1):
    sent = {"name": "t", "shape": [count, 2], "datatype": "BYTES", "data": data}
    return Decoder(TEXTS).infer(json.dumps({"inputs": [sent]}).encode(), None)


def texts(raw, count=1, size=None):
    size = len(raw) if size is None else size
    one = {"name": "t", "shape": [count, 2], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    header = json.dumps({"inputs": [one]}).encode()
    return Decoder(TEXTS).infer(header + raw, len(header))


def test_strings_come_as_json_and_after_their_lengths():
    as_json = listed(["a", "ü\0"]).tensors[0]
    as_binary = texts(b"\x01\0\0\0a\x03\0\0\0\xc3\xbc\0").tensors[0]
    assert as_json.tolist() == as_binary.tolist() == [["a", "ü\0"]]


LYING = {
    "past the end": (b"\x01\0\0\0a\xff\xff\xff\xffb", "past the end of the tensor"),
    "within a length": (b"\x01\0\0\0a\x01", "end within a string's length"),
    "too few": (b"\x01\0\0\0a", "other than the 2 strings"),
    "too many": (b"\0\0\0\0" * 3, "other than the 2 strings"),
    "not UTF-8": (b"\x01\0\0\0\xff\0\0\0\0", "not UTF-8"),
}


@pytest.mark.parametrize(("raw", "words"), LYING.values(), ids=LYING)
def test_lengths_of_strings_that_lie_are_refused(raw, words):
    with pytest.raises(BadRequestError, match=f"input 't': .*{words}"):
        texts(raw)


def test_too_many_strings_are_refused_before_they_exist():
    rows = MAX_STRINGS // 2 + 1
    with pytest.raises(BadRequestError, match="input 't': more than 65536 strings"):
        texts(b"\0\0\0\0" * rows * 2, rows)
    with pytest.raises(BadRequestError, match="input 't': more than 65536 strings"):
        listed(["", ","] * rows, rows)


@pytest.mark.parametrize("data", [["a", 1], ["a", None], [["a"], "b"], [["a"], ["b", "c"]], "ab", ["a"]])
def test_what_are_not_the_strings_asked_for_is_refused(data):
    with pytest.raises(BadRequestError, match="input 't'"):
        listed(data)
