"""What TensorRT is told of a model: shapes, precision, and where the engines it builds are kept."""

import ctypes
import os
import re
import tempfile
from pathlib import Path

from slipstream_contract.manifest import TensorSpec, Variant
from slipstream_runtime.errors import StartError
from slipstream_runtime.protocol.signature import Signature

LIBRARY = "libnvinfer.so.10"


def engine_folder(artifact: Path, key: str) -> Path:
    """Return the folder for engines of `key`, made: beside the artifact where that can be written, else in /tmp.

    An engine holds machine code, so that the folder belongs to this user alone.

    Raises:
        StartError: neither can be written, or another user made it.
    """
    beside = artifact.resolve().parent
    parent = beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    folder = parent / f".slipstream-engines-{os.getuid()}" / key
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{folder}: cannot be made for TensorRT's engines ({error.strerror})") from error
    for part in (folder, folder.parent):
        if part.stat().st_uid != os.getuid() or part.stat().st_mode & 0o022:
            raise StartError(f"{part}: others may write there, and engines hold machine code; remove it")
    return folder


def engine_key(digest: str, variant: str, capability: str, versions: tuple[str, str], cap: int) -> str:
    """Return a folder name that changes with whatever makes an engine useless: what it is of, for and made by."""
    text = f"{digest[:16]}-{variant}-sm{capability}-trt{versions[0]}-ort{versions[1]}-rows{cap}"
    return re.sub(r"[^A-Za-z0-9.-]", "_", text)


def library_version() -> str:
    """Return the version of the TensorRT library, such as 101601, or "unknown" where it does not say."""
    try:
        return str(int(ctypes.CDLL(LIBRARY).getInferLibVersion()))
    except (OSError, AttributeError):
        return "unknown"


def options(signature: Signature, variant: Variant, cap: int, folder: Path) -> dict[str, str]:
    """Return the provider's options for batches of one to `cap` rows of `variant`.

    Reduced precision only where the gate proved it: float16 for variants made of it, int8 for quantised ones.

    Raises:
        StartError: an input has a free axis besides the batch; TensorRT would build a new engine, for minutes,
            whenever a longer one arrives.
    """
    smallest, largest = (_shapes(signature.inputs, rows) for rows in (1, cap))
    words = " ".join(variant.techniques).lower()
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": _flag("float16" in words),
        "trt_int8_enable": _flag("int8" in words),
        "trt_profile_min_shapes": smallest,
        "trt_profile_opt_shapes": largest,
        "trt_profile_max_shapes": largest,
    }


def _shapes(inputs: tuple[TensorSpec, ...], rows: int) -> str:
    texts = []
    for spec in inputs:
        if -1 in spec.shape[1:]:
            raise StartError(
                f"--provider tensorrt: input {spec.name!r} has a free axis besides the batch; "
                "use --provider cuda, or export the model with that axis fixed"
            )
        sizes = (rows if size == -1 else size for size in spec.shape)
        texts.append(f"{spec.name}:{'x'.join(map(str, sizes))}")
    return ",".join(texts)


def _flag(on: bool) -> str:
    return "1" if on else "0"
