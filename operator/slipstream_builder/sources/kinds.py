"""Tells what a file is from its first bytes, never from its name, and refuses what is no model."""

from pathlib import Path
from typing import Literal

from slipstream_builder.errors import SourceError

EXPORT = 'export it first: torch.onnx.export(model, example, "model.onnx", dynamo=True, dynamic_shapes=...)'
_OTHERS = (
    (b"\x80", "a pickle, which runs code when loaded, so it is never opened"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard; unpack it first"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "an array (.npy), not a model"),
    (b"GGUF", "a GGUF file"),
    (b"\x7fELF", "a program or library"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"),
)


def of(path: Path) -> Literal["onnx", "archive"]:
    """Return whether the file may hold ONNX, or a zip archive such as torch.export writes.

    Raises:
        SourceError: it is something else that is known.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return "archive"
    for magic, words in _OTHERS:
        if start.startswith(magic):
            raise SourceError(f"model: this is {words}, not ONNX; {EXPORT}")
    if start[4:8] == b"TFL3":
        raise SourceError(f"model: this is TensorFlow Lite, not ONNX; {EXPORT}")
    if start[8:10] == b'{"':
        raise SourceError(f"model: this is a safetensors file: weights without a network, not ONNX; {EXPORT}")
    return "onnx"
