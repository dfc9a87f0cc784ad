"""What stands in the shared cache: signed, so that nobody else with access to it can put answers there. Pure.

An entry is MAGIC, HMAC-SHA256 over MAGIC, key and payload, and the payload: for each output the number of its axes
(one byte), their sizes (8 bytes each, little-endian) and its row-major numbers. Types are the signature's. The name
of an entry is keyed with the secret too, so that names do not tell who asked what.
"""

import hmac
import math
import struct

import numpy as np

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.signature import BYTES, NUMPY_TYPES, Array, Signature, Tensors

MAGIC = b"slipstream-answer-1\n"
"""Names the form; a new form gets a new number, and old entries are then not found."""

MAX_ENTRY_BYTES = 1024 * 1024
MAX_AXES = 16
MAC_BYTES = 32


class Entries:
    """Writes and reads entries of one artifact; all replicas that share have the same `secret`."""

    def __init__(self, secret: bytes, artifact: str, signature: Signature) -> None:
        self._secret = secret
        self._prefix = b"slipstream:1:%b:" % artifact[:16].encode()
        self._signature = signature

    def name(self, key: bytes) -> bytes:
        """Return the name of the entry of `key`."""
        return self._prefix + hmac.digest(self._secret, b"name" + key, "sha256").hex().encode()

    def seal(self, key: bytes, outputs: Tensors) -> bytes | None:
        """Return the entry, None for outputs that cannot be shared: strings, or too large."""
        size = sum(output.nbytes + 1 + 8 * output.ndim for output in outputs)
        specs = self._signature.outputs
        if size > MAX_ENTRY_BYTES - len(MAGIC) - MAC_BYTES or len(outputs) != len(specs):
            return None
        parts = []
        for spec, output in zip(specs, outputs, strict=True):
            if spec.datatype == BYTES or output.dtype != NUMPY_TYPES[spec.datatype]:
                return None
            parts += [struct.pack(f"<B{output.ndim}Q", output.ndim, *output.shape), output.tobytes()]
        payload = b"".join(parts)
        return MAGIC + self._mac(key, payload) + payload

    def open(self, key: bytes, rows: int, entry: object) -> Tensors | None:
        """Return the outputs in `entry`, None unless it was sealed for `key` and fits the signature, row by row."""
        if not isinstance(entry, bytes) or len(entry) > MAX_ENTRY_BYTES or not entry.startswith(MAGIC):
            return None
        body = entry[len(MAGIC) :]
        mac, payload = body[:MAC_BYTES], body[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(key, payload)):
            return None
        outputs: list[Array] = []
        offset = 0
        for spec in self._signature.outputs:
            read = self._read(spec, rows, payload, offset)
            if read is None:
                return None
            output, offset = read
            outputs.append(output)
        return tuple(outputs) if offset == len(payload) else None

    def _read(self, spec: TensorSpec, rows: int, payload: bytes, offset: int) -> tuple[Array, int] | None:
        dtype = NUMPY_TYPES[spec.datatype]
        axes = payload[offset] if offset < len(payload) else MAX_AXES + 1
        begin = offset + 1 + 8 * axes
        if spec.datatype == BYTES or axes > MAX_AXES or begin > len(payload):
            return None
        shape = struct.unpack_from(f"<{axes}Q", payload, offset + 1)
        end = begin + math.prod(shape) * dtype.itemsize
        if not _fits(spec, shape) or end > len(payload) or (self._signature.batched and shape[0] != rows):
            return None
        output = np.frombuffer(payload[begin:end], dtype).reshape(shape)
        return (output, end) if _valid(output) else None

    def _mac(self, key: bytes, payload: bytes) -> bytes:
        return hmac.digest(self._secret, MAGIC + key + payload, "sha256")


def _fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    return len(shape) == len(spec.shape) and all(
        wanted in (size, -1) for size, wanted in zip(shape, spec.shape, strict=True)
    )


def _valid(output: Array) -> bool:
    if output.dtype.kind == "b":
        return bool((output.view(np.uint8) <= 1).all())
    return output.dtype.kind != "f" or bool(np.isfinite(output).all())
