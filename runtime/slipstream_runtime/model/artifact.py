"""Reads an artifact folder and verifies every byte that is used of it."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    SCHEMA_VERSION,
    FileDigest,
    Manifest,
    Variant,
)
from slipstream_runtime.errors import StartError
from slipstream_runtime.protocol.signature import NUMPY_TYPES, Array, Signature, Tensors


@dataclass(frozen=True)
class Golden:
    """Inputs with the outputs the builder saw for one variant."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class LoadedVariant:
    """A verified variant. `digest` is the manifest's, and so covers every file."""

    manifest: Manifest
    variant: Variant
    signature: Signature
    model: bytes
    golden: Golden
    digest: str


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Return the manifest of the artifact in `folder`, and its digest.

    Raises:
        StartError: it is missing, not a manifest, or of tensors that are not served.
    """
    path = folder / MANIFEST_FILE
    text = _read(path)
    manifest = _manifest(text, path)
    for spec in (*manifest.inputs, *manifest.outputs):
        if spec.datatype not in NUMPY_TYPES:
            raise StartError(f"{path}: {spec.name!r} has datatype {spec.datatype}, which is not served")
    return manifest, hashlib.sha256(text).hexdigest()


def find_variant(manifest: Manifest, name: str) -> Variant:
    """Return the variant `name` of `manifest`.

    Raises:
        StartError: there is none.
    """
    try:
        return manifest.variant(name)
    except KeyError as error:
        raise StartError(f"--variant: {MANIFEST_FILE} has {error.args[0]}") from error


def load_variant(folder: Path, name: str) -> LoadedVariant:
    """Return the variant `name` of the artifact in `folder`.

    Raises:
        StartError: a file is missing, altered or not what the manifest says.
    """
    manifest, digest = read_manifest(folder)
    signature = Signature(manifest.inputs, manifest.outputs)
    variant = find_variant(manifest, name)
    model = _verified(folder, variant.file)
    golden = _golden(folder, manifest, signature, name)
    return LoadedVariant(manifest, variant, signature, model, golden, digest)


def _manifest(text: bytes, path: Path) -> Manifest:
    try:
        manifest = codec.decode_json(Manifest, text, str(path))
    except ContractError as error:
        raise StartError(str(error)) from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise StartError(f"{path}: schema version {manifest.schema_version}, this runtime reads {SCHEMA_VERSION}")
    return manifest


def _verified(folder: Path, expected: FileDigest) -> bytes:
    path = folder / expected.path
    if Path(expected.path).is_absolute() or ".." in Path(expected.path).parts:
        raise StartError(f"{folder / MANIFEST_FILE}: {expected.path!r} lies outside the artifact")
    content = _read(path)
    if len(content) != expected.bytes or hashlib.sha256(content).hexdigest() != expected.sha256:
        raise StartError(f"{path}: differs from the manifest's digest; fetch or build the artifact again")
    return content


def _golden(folder: Path, manifest: Manifest, signature: Signature, variant: str) -> Golden:
    path = folder / GOLDEN_FILE
    expected = next((file for file in manifest.files if file.path == GOLDEN_FILE), None)
    if expected is None:
        raise StartError(f"{folder / MANIFEST_FILE}: does not list {GOLDEN_FILE}; build the artifact again")
    try:
        with np.load(io.BytesIO(_verified(folder, expected)), allow_pickle=False) as arrays:
            inputs = tuple(_strings(arrays[f"input:{spec.name}"]) for spec in signature.inputs)
            outputs = tuple(_strings(arrays[f"output:{variant}:{spec.name}"]) for spec in signature.outputs)
    except KeyError as error:
        raise StartError(f"{path}: {error.args[0]}; build the artifact again") from error
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise StartError(f"{path}: not an npz file of plain arrays ({error})") from error
    return Golden(inputs, outputs)


def _strings(array: Array) -> Array:
    """Return an array of texts as ONNX Runtime takes it; an npz file without pickle holds texts of one width."""
    return array.astype(object) if array.dtype.kind == "U" else array


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: cannot be read ({error.strerror})") from error
