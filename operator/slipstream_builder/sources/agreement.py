"""Says how far two sets of outputs that should be the same lie apart."""

from collections.abc import Sequence

import numpy as np

from slipstream_builder.arrays import Array

TOLERANCE = 1e-3
HALF_TOLERANCE = 2e-2
_TINY = 1e-6


def difference(expected: Sequence[Array], got: Sequence[Array]) -> float:
    """Return the largest difference over the outputs, infinite when their shapes or non-finite places differ.

    For numbers it is relative to the largest magnitude of that output, for integers and booleans the share that
    differs.
    """
    if len(expected) != len(got):
        return float("inf")
    return max((_difference(a, b) for a, b in zip(expected, got, strict=True)), default=0.0)


def tolerance(outputs: Sequence[Array]) -> float:
    """Return the difference that rounding explains, for outputs of these dtypes."""
    return HALF_TOLERANCE if any(output.dtype == np.float16 for output in outputs) else TOLERANCE


def _difference(a: Array, b: Array) -> float:
    if a.shape != b.shape:
        return float("inf")
    if a.dtype.kind != "f":
        return float(np.mean(a != b)) if a.size else 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    return float(np.abs(a - b)[finite].max() / max(np.abs(a[finite]).max(), _TINY))
