"""What this machine is: its processor's features, its memory's speed, and the tools that build on it."""

import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

_FEATURES = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "sve",
    "bf16",
)
_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
_LEAST_BYTES, _MOST_BYTES = 1 << 18, 1 << 28
_TOOLS = ("onnx", "onnxruntime", "onnxslim", "numpy", "torch", "torch-pruning", "slipstream-operator")


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Return the processor features that matter to compressed models, in a fixed order."""
    flags: set[str] = set()
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            flags.update(values.split())
    return tuple(feature for feature in _FEATURES if feature in flags)


def has_int8_dot(features: tuple[str, ...]) -> bool:
    """Return whether 8-bit products are summed in one instruction, without saturating between."""
    return bool(_VNNI.intersection(features))


def tool_versions() -> dict[str, str]:
    """Return the versions of what shapes an artifact; absent tools are left out."""
    versions = {"python": platform.python_version()}
    for tool in _TOOLS:
        try:
            versions[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def read_bytes_per_second(size: int, clock: Callable[[], float]) -> float:
    """Return how fast one thread reads the same `size` bytes again and again, from cache where they fit."""
    block = np.ones(min(max(size, _LEAST_BYTES), _MOST_BYTES) // 4, dtype=np.float32)
    best = float("inf")
    for _ in range(8):
        start = clock()
        block.max()
        best = min(best, clock() - start)
    return block.nbytes / max(best, 1e-9)
