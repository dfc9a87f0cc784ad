"""Reads `.npz`: a zip of arrays as np.savez writes it; never a pickle.

Sizes are checked against the zip's directory before anything is unpacked, and every array's own header against the
size of its member, so that neither can make the reader take more memory than it was allowed.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO

import numpy as np
from numpy.lib import format as npy

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import limits

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_KINDS = "fiubUS"
_MAX_HEADER = 10_000


def read(data: bytes, what: str, max_bytes: int) -> dict[str, Array]:
    """Return the arrays in the .npz `data` by name.

    Raises:
        ValidationError: it is broken, holds objects, or unpacks to more than `max_bytes`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            limits.check_names([_name(member) for member in members], what)
            limits.check_bytes(sum(member.file_size for member in members), what, max_bytes)
            return {_name(member): _member(archive, member) for member in members}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, SyntaxError) as error:
        raise ValidationError(
            f"{what}: not a readable .npz of plain arrays ({limits.line(error)}); write it with np.savez"
        ) from error


def write(arrays: Mapping[str, Array]) -> bytes:
    """Return the .npz of `arrays`; unlike np.savez it takes any name, such as `file`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, array, allow_pickle=False)
    return content.getvalue()


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    if member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename!r} is encrypted or compressed in an unusual way")
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, member.filename)
        wanted = math.prod(shape) * dtype.itemsize
        # One byte more than the directory promises shows whether the stream ends, and checks the member's CRC.
        content = stream.read(member.file_size + 1)
    if len(content) != wanted:
        raise ValueError(f"{member.filename!r} holds {len(content)} bytes, its header says {wanted}")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name!r} is of .npy version {version[0]}.{version[1]}")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(stream, max_header_size=_MAX_HEADER)
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise ValueError(f"{name!r} holds {dtype}, not plain numbers" + ("; pickles are refused" * dtype.hasobject))
    if any(size < 0 for size in shape):
        raise ValueError(f"{name!r} says its shape is {list(shape)}")
    return shape, fortran, dtype.newbyteorder("=") if dtype.isnative else dtype
