"""Files that are something else than ONNX, or less than they were."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np

from slipstream_testing.bad_models.registry import bad
from slipstream_testing.bad_programs import Bomb
from slipstream_testing.onnx_models import mlp


@bad("not ONNX")
def one_byte() -> bytes:
    return b"\x08"


@bad("not ONNX")
def a_web_page() -> bytes:
    return b"<html>404 not found</html>"


@bad("not ONNX")
def random_bytes() -> bytes:
    return np.random.default_rng(0).bytes(4096)


@bad("not ONNX")
def random_bytes_after_a_valid_start() -> bytes:
    return mlp().SerializeToString()[:40] + np.random.default_rng(1).bytes(4096)


@bad("model: ")
def flipped_bits_all_over() -> bytes:
    data = bytearray(mlp().SerializeToString())
    for place in np.random.default_rng(2).integers(0, 120, 20):
        data[place] ^= 0xFF
    return bytes(data)


@bad("truncated")
def truncated_in_the_header() -> bytes:
    return mlp().SerializeToString()[:30]


@bad("truncated")
def truncated_in_the_middle() -> bytes:
    data = mlp().SerializeToString()
    return data[: len(data) // 2]


@bad("truncated")
def truncated_at_the_end() -> bytes:
    return mlp().SerializeToString()[:-1]


@bad("gzip")
def compressed() -> bytes:
    return gzip.compress(mlp().SerializeToString(), mtime=0)


@bad("Git LFS pointer")
def a_pointer_of_git_lfs() -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@bad("safetensors")
def weights_without_a_network() -> bytes:
    return (64).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64) + b"\0" * 4


@bad("a pickle, which runs code")
def a_pickle_under_another_name(trap: Path) -> bytes:
    return Bomb(trap).pickled()


@bad("not ONNX")
def a_pickle_of_the_oldest_protocol(trap: Path) -> bytes:
    return Bomb(trap).pickled(protocol=0)


@bad("arrays (.npz)")
def arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, w=np.zeros(3))
    return file.getvalue()


@bad("unpacks to more")
def a_zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\0" * (64 << 20))
    return file.getvalue()


@bad("not ONNX")
def a_length_of_exabytes() -> bytes:
    return b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64


@bad("not ONNX")
def messages_nested_a_thousand_deep() -> bytes:
    graph = b""
    for _ in range(1000):
        attribute = b"\x32" + _varint(len(graph)) + graph  # AttributeProto.g
        node = b"\x2a" + _varint(len(attribute)) + attribute  # NodeProto.attribute
        graph = b"\x0a" + _varint(len(node)) + node  # GraphProto.node
    return b"\x08\x08\x3a" + _varint(len(graph)) + graph


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
