"""Data sets are told by content, read as plain arrays, and refused within limits where they are hostile."""

import contextlib
import io
import json
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save as save_tensors

from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import apart, reading
from slipstream_builder.validation.formats import parquet as parquet_reader

LIMIT = 1 << 20
IN_A_PROCESS = apart.read


@pytest.fixture(autouse=True)
def parquet_is_read_in_this_process(monkeypatch):
    """Start no process for every file; those tests that are about the process ask for it."""
    monkeypatch.setattr(apart, "read", parquet_reader.decode)


def npz(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def parquet(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def zipped(name, content, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy(header, content=b""):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def tensors(header, content=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def read(data, limit=LIMIT):
    return reading.read(data, "validation set", limit)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "uint32", "bool"])
def test_the_same_arrays_come_back_from_every_format(dtype):
    x = (np.arange(24).reshape(4, 6) % 3).astype(dtype)
    labels = np.arange(4)
    lists = pa.array(list(x), pa.list_(pa.from_numpy_dtype(x.dtype)))
    for data in (
        npz(x=x, labels=labels),
        npz(compressed=True, x=x, labels=labels),
        save_tensors({"x": x, "labels": labels}),
        parquet({"x": lists, "labels": labels}),
    ):
        found = read(data)
        assert sorted(found) == ["labels", "x"]
        assert found["x"].dtype == x.dtype
        assert (found["x"] == x).all()
        assert (found["labels"] == labels).all()


def test_arrays_in_fortran_order_and_big_endian_keep_their_values():
    x = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    found = read(npz(x=x, y=x.astype(">f8")))
    assert (found["x"] == x).all()
    assert (found["y"] == x).all()


def test_bfloat16_becomes_float32():
    content = np.array([1.0, -2.5], np.float32).view(np.uint32) >> 16
    header = {"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    assert read(tensors(header, content.astype(np.uint16).tobytes()))["x"].tolist() == [1.0, -2.5]


def test_nested_and_fixed_size_lists_become_axes():
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nested = pa.array(images.tolist(), pa.list_(pa.list_(pa.float32())))
    fixed = pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), 4), 3)
    found = read(parquet({"nested": nested, "fixed": fixed}, row_group_size=1))
    assert (found["nested"] == images).all()
    assert (found["fixed"] == images).all()


def test_lists_of_relevant_things_may_differ_in_length():
    found = read(parquet({"labels": pa.array([[3, 1], [2], [5, 0, 4]])}))
    assert found["labels"].tolist() == [[3, 1, -1], [2, -1, -1], [5, 0, 4]]


def test_strings_are_read_for_slices():
    table = {"slices": pa.array(["north", "south", "north"]), "coded": pa.array(["a", "b", "a"]).dictionary_encode()}
    found = read(parquet(table))
    assert found["slices"].tolist() == ["north", "south", "north"]
    assert found["coded"].tolist() == ["a", "b", "a"]


ONES = np.ones((10, 4), np.float32)
GOOD_NPZ, GOOD_TENSORS = npz(x=ONES), save_tensors({"x": ONES})
GOOD_PARQUET = parquet({"x": pa.array(list(ONES))})
NPY = "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }"
LYING = NPY.replace("10, 4", "1000000000000, 4")


def lying_directory():
    """The zip's directory says the member holds 100 bytes; it unpacks to 64 MiB."""
    data = bytearray(zipped("x.npy", bytes(64 << 20), zipfile.ZIP_DEFLATED))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    return bytes(data)


BAD = {
    "nothing known": (b"x,labels\n1,2\n" * 9, "not a readable .npz, .safetensors or .parquet"),
    "nothing": (b"", "not a readable"),
    "one array": (npy(NPY, ONES.tobytes()), "give every array its name"),
    "pickle": (pickle.dumps({"x": ONES}), "a pickle, which runs code"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "unpack it first"),
    "feather": (b"ARROW1\x00\x00" + bytes(99), "Arrow or Feather"),
    "npz truncated": (GOOD_NPZ[:-40], "not a readable .npz"),
    "npz broken within": (GOOD_NPZ.replace(bytes(ONES[0]), b"\xff" * 16, 1), "not a readable .npz.*CRC"),
    "npz of nothing": (npz(), "holds no arrays"),
    "npz with objects": (npz(x=np.array([{1: 2}], dtype=object)), "not plain numbers; pickles are refused"),
    "npz of records": (npz(x=np.zeros(3, [("a", "f4")])), "not plain numbers"),
    "npz of dates": (npz(x=np.zeros(3, "M8[s]")), "not plain numbers"),
    "npz of complex numbers": (npz(x=np.zeros(3, "c16")), "not plain numbers"),
    "npz with a text": (zipped("x.npy", b"hello"), "not a readable .npz"),
    "npz with a lying shape": (zipped("x.npy", npy(LYING, ONES.tobytes())), "holds 160 bytes, its header says 160000"),
    "npz with more than its shape": (zipped("x.npy", npy(NPY, ONES.tobytes() + b"more")), "holds 164 bytes"),
    "npz with a negative shape": (
        zipped("x.npy", npy(NPY.replace("10", "-10"), ONES.tobytes())),
        "not a readable .npz",
    ),
    "npz with code for a header": (zipped("x.npy", npy("__import__('os').getcwd()")), "not a readable .npz"),
    "npz bomb": (npz(compressed=True, x=np.zeros(1 << 21, np.uint8)), "unpacks to more than 1 MiB"),
    "npz with a lying directory": (lying_directory(), "not a readable .npz"),
    "npz packed oddly": (zipped("x.npy", npy(NPY, ONES.tobytes()), zipfile.ZIP_LZMA), "compressed in an unusual way"),
    "npz of many": (npz(**{f"a{i}": np.zeros(1) for i in range(300)}), "300 arrays, more than 256"),
    "tensors truncated": (GOOD_TENSORS[:-4], "not a readable .safetensors"),
    "tensors with a huge header": (struct.pack("<Q", 1 << 40) + b"{" + bytes(99), "claims 1099511627776 bytes"),
    "tensors with a broken header": (struct.pack("<Q", 20) + b"{" + bytes(99), "not a readable .safetensors"),
    "tensors with a lying shape": (
        tensors({"x": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 8]}}, bytes(8)),
        "not a readable .safetensors",
    ),
    "tensors that overlap": (
        tensors({n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in "xy"}, bytes(8)),
        "not a readable .safetensors",
    ),
    "tensors of an odd type": (
        tensors({"x": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, bytes(8)),
        "'x' is F8_E4M3; save it as one of",
    ),
    "tensors of nothing": (save_tensors({}), "holds no arrays"),
    "tensors too large": (save_tensors({"x": np.zeros(1 << 21, np.uint8)}), "unpacks to more than 1 MiB"),
    "parquet truncated": (GOOD_PARQUET[:-20], "not a readable .parquet"),
    "parquet broken": (GOOD_PARQUET[:8] + b"\xff" * 40 + GOOD_PARQUET[48:], "not a readable .parquet"),
    "parquet of ragged lists": (
        parquet({"x": pa.array([[1.0, 2.0], [1.0, 2.0], [3.0]])}),
        "'x' has lists of 2 values, but item 2 one of 1",
    ),
    "parquet ragged within": (parquet({"x": pa.array([[[1.0], [2.0]], [[1.0], []]])}), "but item 1 one of 0"),
    "parquet with a null": (parquet({"x": pa.array([1.0, None])}), r"'x' holds a null \(item 1\)"),
    "parquet with a null within": (parquet({"x": pa.array([[1.0], [None]])}), r"'x' holds a null \(item 1\)"),
    "parquet with a null list": (parquet({"x": pa.array([[1.0], None])}), r"'x' holds a null \(item 1\)"),
    "parquet of dates": (parquet({"x": pa.array([1, 2], pa.timestamp("s"))}), r"'x' is timestamp\[ms\]; write numbers"),
    "parquet of structs": (parquet({"x": pa.array([{"a": 1}])}), "'x' is struct<a: int64>; write numbers"),
    "parquet bomb": (parquet({"x": pa.array(np.zeros(1 << 19, np.float32))}), "unpacks to more than 1 MiB"),
    "parquet bomb in one list": (
        parquet({"x": pa.array([np.zeros(1 << 19, np.float32)])}),
        "unpacks to more than 1 MiB",
    ),
    "parquet bomb of strings": (
        parquet({"slices": pa.array(["long" * 3000] + ["short"] * 100)}),
        "unpacks to more than 1 MiB",
    ),
    "parquet bomb of padding": (
        parquet({"labels": pa.array([list(range(9999))] + [[1]] * 99)}),
        "unpacks to more than 1",
    ),
}


@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_no_sound_data_set_is_refused_in_one_line(data, words):
    with pytest.raises(ValidationError, match=words) as refused:
        read(data)
    assert str(refused.value).startswith("validation set: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("name", ["npz bomb", "npz with a lying directory", "npz with a lying shape"])
def test_a_bomb_is_refused_before_it_takes_memory(name):
    tracemalloc.start()
    with pytest.raises(ValidationError):
        read(BAD[name][0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT


@pytest.mark.parametrize(("good", "times"), [(GOOD_NPZ, 300), (GOOD_TENSORS, 300), (GOOD_PARQUET, 3)])
def test_a_file_cut_anywhere_or_changed_is_read_or_refused_and_nothing_else(good, times, monkeypatch):
    monkeypatch.setattr(apart, "read", IN_A_PROCESS)
    generator = np.random.default_rng(5)
    for _ in range(times):
        data = bytearray(good)
        if generator.random() < 0.3:
            data = data[: generator.integers(1, len(data))]
        else:
            for place in generator.integers(0, len(data), size=generator.integers(1, 4)):
                data[place] = generator.integers(256)
        with contextlib.suppress(ValidationError):
            read(bytes(data))


def test_a_parquet_that_ends_the_process_that_reads_it_is_refused_in_one_line():
    data = bytearray(GOOD_PARQUET)
    data[-448] = 44  # found by changing bytes at random
    with pytest.raises(ValidationError, match=r"not a readable .parquet \(its reader ended with code -6\)"):
        IN_A_PROCESS(bytes(data), "validation set", LIMIT)


def test_the_process_that_reads_a_parquet_cannot_take_more_memory_than_it_may():
    script = (
        "from slipstream_builder.validation.formats import apart\n"
        "apart._limit_memory(64 << 20)\n"
        "try:\n    bytes(128 << 20)\nexcept MemoryError:\n    print('refused')"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "refused\n"


def test_columns_and_refusals_come_back_from_the_process_as_they_are():
    table = {"file": np.ones((2,)), "a/b": pa.array(["x", "yz"])}
    found = IN_A_PROCESS(parquet(table), "validation set", LIMIT)
    assert found["file"].tolist() == [1.0, 1.0]
    assert found["a/b"].tolist() == ["x", "yz"]
    with pytest.raises(ValidationError, match=r"^validation set: column 'x' holds a null \(item 1\)"):
        IN_A_PROCESS(BAD["parquet with a null"][0], "validation set", LIMIT)
