"""Says what holds the model back, from its latency curve and what it has to read and compute; pure."""

from dataclasses import dataclass
from typing import Literal

from slipstream_builder import words
from slipstream_builder.measuring.kinds import GraphKind
from slipstream_builder.measuring.operators import OperatorShare
from slipstream_contract.manifest import LatencyCurve

Bottleneck = Literal["Overhead", "Memory", "Compute"]

_FIXED_SHARE = 0.4
_STREAMING_SHARE = 0.3
_LARGE_BATCH = 64


@dataclass(frozen=True)
class Analysis:
    """The bottleneck of one row at a time, the evidence in a sentence, and what batching can give (a ratio).

    `operators` are those of a batch of 32, the greediest first.
    """

    bottleneck: Bottleneck
    evidence: str
    batching_gain: float
    parameters: int
    model_bytes: int
    kind: GraphKind = "other"
    operators: tuple[OperatorShare, ...] = ()


def analyse(
    curve: LatencyCurve,
    *,
    kind: GraphKind,
    operators: tuple[OperatorShare, ...],
    model_bytes: int,
    parameters: int,
    multiplications: int,
    read_bytes_per_second: float,
) -> Analysis:
    """Judge the optimised original.

    What a batch costs before its first row (alpha) is either the reading of the weights, if memory needs a good part
    of that time to deliver them, or overhead; where alpha is small beside beta, arithmetic is what counts.
    """
    single = curve.alpha_seconds + curve.beta_seconds
    share = curve.alpha_seconds / single if single > 0 else 0.0
    streaming = model_bytes / read_bytes_per_second
    gain = curve.measured_seconds(1) * _LARGE_BATCH / curve.measured_seconds(_LARGE_BATCH)
    speed = 2 * multiplications / curve.beta_seconds / 1e9 if curve.beta_seconds > 0 else 0.0
    cost = (
        f"T(b) = {words.duration(curve.alpha_seconds)} + {words.duration(curve.beta_seconds)} x b: "
        f"{share:.0%} of a single row's time is paid once a batch"
    )
    tail = f"; a batch of {_LARGE_BATCH} serves {gain:.1f} times the rows a second that single rows do"
    if share < _FIXED_SHARE:
        bottleneck: Bottleneck = "Compute"
        why = f", the rest is arithmetic ({speed:.1f} GFLOP/s)"
    elif streaming >= _STREAMING_SHARE * curve.alpha_seconds:
        bottleneck = "Memory"
        why = f", mostly to read {model_bytes / 1e6:.1f} MB of weights (which takes about {words.duration(streaming)})"
    else:
        bottleneck = "Overhead"
        why = f", while reading its {model_bytes / 1e6:.2f} MB of weights takes about {words.duration(streaming)}"
    return Analysis(bottleneck, cost + why + tail, gain, parameters, model_bytes, kind, operators)
