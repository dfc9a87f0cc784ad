"""Tells a data set's format by its content and reads it; the name of the file does not count."""

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import apart, npz, tensors
from slipstream_builder.validation.formats.limits import MAX_BYTES

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OTHERS = {
    b"\x93NUMPY": 'this is one array (.npy); give every array its name, as in np.savez("set.npz", x=x, labels=labels)',
    b"\x89HDF": "this is HDF5; write it again with np.savez",
    b"\x80": "this is a pickle, which runs code when loaded; write it again with np.savez",
    b"ARROW1": "this is an Arrow or Feather file; write it with pyarrow.parquet.write_table",
    b"\x1f\x8b": "this is compressed with gzip; unpack it first",
}


def read(data: bytes, what: str, max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """Return the arrays in `data` by name: the members of an .npz or .safetensors, the columns of a .parquet.

    Args:
        data: the content of the file.
        what: the data set in words, which begin every message.
        max_bytes: the most that all arrays together may take in memory.

    Raises:
        ValidationError: the content is none of the three formats, broken, of other than plain numbers, or too large.
    """
    if data[:4] in _ZIP:
        return npz.read(data, what, max_bytes)
    if data[:4] == apart.MAGIC:
        return apart.read(data, what, max_bytes)
    if tensors.recognise(data):
        return tensors.read(data, what, max_bytes)
    unknown = "not a readable .npz, .safetensors or .parquet; write it with np.savez"
    raise ValidationError(
        f"{what}: {next((words for magic, words in _OTHERS.items() if data.startswith(magic)), unknown)}"
    )
