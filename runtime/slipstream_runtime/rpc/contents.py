"""Reads a tensor sent as typed contents, InferTensorContents, rather than as raw bytes. Pure."""

import math
from typing import Any

import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Array, check_shape
from slipstream_runtime.protocol.strings import strings_from_list
from slipstream_runtime.protocol.tensors import checked
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where each datatype stands; FP16 has no typed form."""


def from_contents(spec: TensorSpec, shape: tuple[int, ...], contents: messages.InferTensorContents) -> Array:
    """Return the typed `contents` as an array of `shape`.

    Raises:
        BadRequestError: they are of another type or number, out of range, or not finite.
    """
    check_shape(spec, shape)
    field = FIELDS.get(spec.datatype)
    if field is None:
        raise BadRequestError(f"input {spec.name!r}: {spec.datatype} has no typed contents; use raw_input_contents")
    for descriptor, _ in contents.ListFields():
        if descriptor.name != field:
            raise BadRequestError(f"input {spec.name!r}: {descriptor.name} is not for {spec.datatype}; use {field}")
    values = getattr(contents, field)
    if len(values) != math.prod(shape):
        raise BadRequestError(
            f"input {spec.name!r}: {field} has {len(values)} elements, the shape wants another number"
        )
    if spec.datatype == BYTES:
        return strings_from_list(spec, values).reshape(shape)
    return checked(spec, _numbers(spec, values).reshape(shape))


def _numbers(spec: TensorSpec, values: Any) -> Array:
    dtype = NUMPY_TYPES[spec.datatype]
    if dtype.itemsize >= 4 or dtype.kind == "b":
        return np.fromiter(values, dtype, len(values))  # np.array would hold all of them as Python numbers
    wide = np.fromiter(values, np.int64, len(values))
    limits = np.iinfo(dtype)
    if wide.size and not limits.min <= int(wide.min()) <= int(wide.max()) <= limits.max:
        raise BadRequestError(f"input {spec.name!r}: a number is out of range for {spec.datatype}")
    return wide.astype(dtype)
