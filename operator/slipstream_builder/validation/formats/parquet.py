"""Reads `.parquet`: every column is an array, every row an item.

A column of numbers or booleans becomes [items]; one of lists, of fixed size or not, [items, n]; lists of lists
[items, n, m], and so on. All lists of a column must be of one length, except those of `labels` and `ignore`, which
are filled up with -1. A column of strings is read as it is (for `slices`).

Only ever run in a process of its own (see `apart`): pyarrow ends the process it runs in on some broken files.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation.formats import limits

PADDED = ("labels", "ignore")
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "FIXED_LEN_BYTE_ARRAY": 2, "BYTE_ARRAY": 4}
_BATCH = 8192
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_STRINGS = (pa.types.is_string, pa.types.is_large_string)


def decode(data: bytes, what: str, max_bytes: int) -> dict[str, Array]:
    """Return the columns of the .parquet `data` as arrays by name.

    Raises:
        ValidationError: it is broken, has nulls, ragged lists or columns of other types, or takes over `max_bytes`.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), memory_map=False, thrift_container_size_limit=1 << 20)
        schema = file.schema_arrow
        limits.check_names(schema.names, what)
        limits.check_bytes(_declared_bytes(file.metadata), what, max_bytes)
        columns = _columns(file, schema, what, max_bytes)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ValidationError(
            f"{what}: not a readable .parquet ({limits.line(error)}); write it with pyarrow.parquet.write_table"
        ) from error
    return {name: _array(column, name, what, max_bytes) for name, column in columns.items()}


def _declared_bytes(metadata: Any) -> int:
    """Return what the values take once decoded: run lengths and dictionaries can make a file arbitrarily smaller."""
    total = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            width = _WIDTHS.get(column.physical_type, 16)
            total += max(column.num_values * width, column.total_uncompressed_size)
    return total


def _columns(file: Any, schema: Any, what: str, max_bytes: int) -> dict[str, Any]:
    """Return the columns as chunked arrays; read in parts, so that a footer that lies is found out on the way."""
    parts, taken = [], 0
    for batch in file.iter_batches(_BATCH, use_threads=False):
        parts.append(batch)
        taken += batch.nbytes
        limits.check_bytes(taken, what, max_bytes)
    table = pa.Table.from_batches(parts, schema)
    return {name: table.column(name) for name in schema.names}


def _array(column: Any, name: str, what: str, max_bytes: int) -> Array:
    values = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    items = len(values)
    sizes: list[int] = []
    while True:
        if values.null_count:
            raise ValidationError(
                f"{what}: column {name!r} holds a null (item {_first_null(values, sizes)}); fill it or remove the item"
            )
        if not any(is_list(values.type) for is_list in _LISTS):
            break
        if name in PADDED and not sizes:
            values, size = _padded(values, name, what, max_bytes)
        else:
            values, size = _flat(values, name, sizes, what)
        sizes.append(size)
    return _plain(values, name, what, max_bytes).reshape(items, *sizes)


def _flat(values: Any, name: str, sizes: list[int], what: str) -> tuple[Any, int]:
    """Return the inner values of a column of lists, and the one length of its lists."""
    lengths = _lengths(values)
    if (other := np.flatnonzero(lengths != lengths[:1])).size:
        item = int(other[0]) // max(1, int(np.prod(sizes, dtype=np.int64)))
        raise ValidationError(
            f"{what}: column {name!r} has lists of {lengths[0]} values, but item {item} one of {lengths[other[0]]}; "
            "all must have one length"
        )
    return values.flatten(), int(lengths[0]) if lengths.size else 0


def _padded(values: Any, name: str, what: str, max_bytes: int) -> tuple[Any, int]:
    """Return the inner values of a column of lists of indices, with -1 where a list is shorter than the longest."""
    lengths = _lengths(values)
    widest = int(lengths.max(initial=0))
    inner = values.flatten()
    if lengths.min(initial=widest) == widest or not pa.types.is_integer(inner.type) or inner.null_count:
        return _flat(values, name, [], what)
    limits.check_bytes(len(lengths) * widest * 8, what, max_bytes)
    padded = np.full((len(lengths), widest), -1, np.int64)
    padded[np.arange(widest) < lengths[:, None]] = inner.to_numpy()
    return pa.array(padded.ravel()), widest


def _lengths(values: Any) -> Array:
    return np.asarray(pc.list_value_length(values), dtype=np.int64)


def _plain(values: Any, name: str, what: str, max_bytes: int) -> Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    if any(is_string(kind) for is_string in _STRINGS):
        longest = pc.max(pc.utf8_length(values)).as_py() or 1
        limits.check_bytes(len(values) * longest * np.dtype("U1").itemsize, what, max_bytes)
        return np.asarray(values.to_pylist(), dtype=np.str_)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    raise ValidationError(f"{what}: column {name!r} is {kind}; write numbers, booleans, or lists of them")


def _first_null(values: Any, sizes: list[int]) -> int:
    first = int(np.flatnonzero(np.asarray(values.is_null().to_numpy(zero_copy_only=False)))[0])
    return first // max(1, int(np.prod(sizes, dtype=np.int64)))
