"""Digests that name what was asked, whole and exact, and the cheap choice of a sample. Pure.

A key is a SHA-256 over everything the answer depends on: tenant, artifact, variant, and the request itself. Two
requests share a key only if they are the same (a collision of SHA-256 is out of anyone's reach), so that entries need
not keep the request for a second look; it is often a hundred times larger than the answer.
"""

import hashlib
import zlib

from slipstream_runtime.protocol.signature import Array, Tensors

SAMPLE_BYTES = 64
SAMPLE_NUMBERS = 16


def context_digest(*parts: bytes) -> bytes:
    """Return 32 bytes for `parts`, which cannot run into each other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def body_key(body: bytes, context: bytes) -> bytes:
    """Return the key of a raw body; the context comes last, and is always 32 bytes long."""
    digest = hashlib.sha256(body)
    digest.update(context)
    return digest.digest()


def tensors_key(tensors: Tensors, context: bytes) -> bytes:
    """Return the key of the model's inputs: each one's dtype and shape tell where its bytes end."""
    digest = hashlib.sha256(context)
    for array in tensors:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(_canonical(array))
    return digest.digest()


def body_sample(body: bytes) -> int:
    """Return a cheap number that is the same for the same body, from its middle and its end."""
    middle = len(body) // 2
    return zlib.crc32(body[middle : middle + SAMPLE_BYTES], zlib.crc32(body[-SAMPLE_BYTES:]))


def tensors_sample(tensors: Tensors) -> int:
    """Return the same for the model's inputs."""
    number = 0
    for array in tensors:
        flat = array.reshape(-1)
        middle = flat.size // 2
        for part in (flat[middle : middle + SAMPLE_NUMBERS], flat[-SAMPLE_NUMBERS:]):
            number = zlib.crc32(_canonical(part), number)
    return number


def _canonical(array: Array) -> bytes:
    """Return bytes that are the same for the same numbers or strings only; strings come with their lengths."""
    if array.dtype.kind != "O":
        return array.tobytes()
    encoded = [str(value).encode("utf-8", "surrogatepass") for value in array.reshape(-1)]
    return b"".join(part for value in encoded for part in (len(value).to_bytes(8, "little"), value))
