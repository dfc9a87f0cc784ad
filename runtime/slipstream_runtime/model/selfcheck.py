"""Before a replica is ready: the golden inputs must give the golden outputs, and every batch size has run once."""

import statistics
import time
from pathlib import Path

import numpy as np

from slipstream_contract.manifest import GOLDEN_FILE
from slipstream_runtime.batching.curve import Line, fit_line
from slipstream_runtime.batching.policy import largest_batch, worthwhile_batch
from slipstream_runtime.errors import StartError
from slipstream_runtime.model.artifact import LoadedVariant
from slipstream_runtime.model.padded import bucket_sizes
from slipstream_runtime.model.providers import CPU
from slipstream_runtime.model.session import Session
from slipstream_runtime.protocol.signature import Array, Tensors

FLOAT = 1e-3
"""Allowed difference, relative to the output's range: float sums are taken in another order by another processor or
thread count, nothing else may differ."""

INT8 = 1e-2
"""Allowed for int8 variants: such a last-bit difference may push a value over a rounding step of 1/255."""

INT8_ELSEWHERE = 5e-2
"""Allowed for int8 variants where the processor has other int8 features than the builder's: without VNNI, ONNX
Runtime's int8 products saturate at 16 bits, with it they do not, so that sums really differ; a wrong or damaged
model is off by far more."""

HALF = 1e-2
"""Allowed for float16 variants on an accelerator: the builder's processor computes them in float32 and rounds."""

INT8_FEATURES = frozenset({"avx2", "avx512f", "avx512bw", "avx512vnni", "avxvnni", "amxint8", "asimddp", "i8mm"})

BUDGET_SECONDS = 2.0
"""Time for measuring; a slow model is measured on fewer runs rather than delaying readiness."""


def check_golden(session: Session, loaded: LoadedVariant, folder: Path) -> None:
    """Run the golden inputs and compare.

    Raises:
        StartError: an output differs by more than the tolerance.
    """
    origin = folder / GOLDEN_FILE
    tolerance = _tolerance(loaded, session.provider)
    try:
        outputs = session.run(loaded.golden.inputs)
    except Exception as error:  # ONNX Runtime raises types of its own, without a common base
        raise StartError(f"{origin}: the model cannot run the golden inputs; {_advice(session)}") from error
    for spec, found, expected in zip(loaded.signature.outputs, outputs, loaded.golden.outputs, strict=True):
        if found.shape != expected.shape or not _close(found, expected, tolerance):
            raise StartError(
                f"{origin}: variant {loaded.variant.name!r} gives another {spec.name!r} here than where it was built "
                f"(tolerance {tolerance:g} of the range); build the artifact on this kind of machine"
            )


def measure(session: Session, loaded: LoadedVariant, cap: int, objective_seconds: float) -> tuple[Line, int]:
    """Warm the session up over the batch sizes to `cap`; return its latency line here, and the largest batch that pays.

    The largest goes first: the memory it takes then serves all smaller ones, where growing would leave gaps.

    Raises:
        StartError: a batch size cannot be run.
    """
    golden = loaded.golden.inputs
    sizes = bucket_sizes(_worth(session, loaded, cap, objective_seconds)) if loaded.signature.batched else (1,)
    share = BUDGET_SECONDS / len(sizes)
    points = []
    for size in reversed(sizes):
        tensors = _rows(golden, size) if loaded.signature.batched else golden
        try:
            points.append((size, _median_seconds(session, tensors, share)))
        except Exception as error:  # ONNX Runtime raises types of its own, without a common base
            reason = f"variant {loaded.variant.name!r} cannot run {size} rows; {_advice(session)}"
            raise StartError(f"--max-batch: {reason}") from error
    return fit_line(tuple(points)), worthwhile_batch(tuple(points))


def _worth(session: Session, loaded: LoadedVariant, cap: int, objective_seconds: float) -> int:
    """Return the largest batch to measure: on the CPU, twice what the builder's line leaves within the objective.

    Larger ones will not be formed, and for slow models took most of the start. An accelerator runs all sizes once, as
    it prepares something for each.
    """
    if session.provider != CPU:
        return cap
    curve = loaded.variant.latency
    line = Line(curve.alpha_seconds, curve.beta_seconds)
    return min(cap, 2 * largest_batch(line, objective_seconds, cap))


def _rows(golden: Tensors, size: int) -> Tensors:
    return tuple(np.take(array, np.arange(size) % array.shape[0], axis=0) for array in golden)


def _median_seconds(session: Session, tensors: Tensors, budget: float) -> float:
    session.run(tensors)
    times: list[float] = []
    while len(times) < 3 or (len(times) < 20 and sum(times) < budget / 4):
        begun = time.perf_counter()
        session.run(tensors)
        times.append(time.perf_counter() - begun)
        if sum(times) > budget:
            break
    return statistics.median(times)


def _close(found: Array, expected: Array, tolerance: float) -> bool:
    if expected.size == 0 or expected.dtype.kind in "bO":
        return bool(np.array_equal(found, expected))
    wanted = expected.astype(np.float64)
    if not np.isfinite(wanted).all():
        return False
    scale = max(float(wanted.max() - wanted.min()), float(np.abs(wanted).max()), 1e-6)
    return bool(np.abs(found.astype(np.float64) - wanted).max() <= tolerance * scale)


def _advice(session: Session) -> str:
    if session.exhausted:
        return "the accelerator's memory is exhausted: free some of it, or choose a smaller variant"
    return "build the artifact again"


def _tolerance(loaded: LoadedVariant, provider: str) -> float:
    if provider != CPU and any("float16" in name.lower() for name in loaded.variant.techniques):
        return HALF
    if not any("int8" in name.lower() or "quantize" in name.lower() for name in loaded.variant.techniques):
        return FLOAT
    same = _relevant(loaded.manifest.cpu_features) == _relevant(_cpu_flags())
    return INT8 if same else INT8_ELSEWHERE


def _relevant(features: tuple[str, ...]) -> frozenset[str]:
    return INT8_FEATURES & {feature.lower().replace("_", "") for feature in features}


def _cpu_flags() -> tuple[str, ...]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ()
    return next((tuple(line.split(":", 1)[1].split()) for line in lines if line.startswith(("flags", "Features"))), ())
