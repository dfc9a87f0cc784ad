"""Estimates what a candidate will take, before it starts, from the measured speed of the original; pure."""

from dataclasses import dataclass

from slipstream_builder.search.families import Candidate
from slipstream_builder.techniques.configs import Optimize, PruneChannels, PruneWeights, QuantizeStatic, Technique
from slipstream_contract.manifest import LatencyCurve

_LARGE_BATCH = 64
_START_SECONDS = 3.0
_TORCH_SECONDS = 5.0
_CALIBRATED_ROWS = 512
_TRAINED_WEIGHT = 20.0
_MEASURE_SECONDS, _MEASURE_ROUNDS, _MEASURED_ROWS = 2.0, 12, 41
_EFFICIENCY = 0.5
"""Training runs at about half the operations a second that serving reaches."""


@dataclass(frozen=True)
class Pace:
    """What estimates rest on: what serving the original and training on this machine take.

    `row_seconds` is a row's share of a large batch of the original, `items` are those that decide the gate, and
    `training_seconds` is the time of one course of training.
    """

    row_seconds: float
    items: int
    training_seconds: float


def pace(curve: LatencyCurve, multiplications: int, items: int, training_operations: float | None) -> Pace:
    """Return the pace that the original's latency curve shows, at `multiplications` a row.

    `training_operations` are the floating-point operations of one course; None: nothing trains.
    """
    row_seconds = curve.measured_seconds(_LARGE_BATCH) / _LARGE_BATCH
    speed = 2.0 * max(multiplications, 1) / row_seconds
    return Pace(row_seconds, items, (training_operations or 0.0) / (_EFFICIENCY * speed))


def seconds(candidate: Candidate, measured: Pace) -> float:
    """Return the seconds that building and judging `candidate` will take, about."""
    building = sum(_building(technique, measured) for technique in candidate.techniques)
    return _START_SECONDS + building + measured.items * measured.row_seconds


def measuring(measured: Pace) -> float:
    """Return the seconds that measuring one candidate against the original takes, at the least."""
    return max(_MEASURE_SECONDS, 2 * _MEASURE_ROUNDS * _MEASURED_ROWS * measured.row_seconds)


def weight(technique: Technique) -> float:
    """Return how much of a candidate's time a technique takes, against others."""
    return _TRAINED_WEIGHT if trained(technique) else 1.0


def trained(technique: Technique) -> bool:
    """Return whether the technique trains the network."""
    return isinstance(technique, PruneChannels | PruneWeights)


def _building(technique: Technique, measured: Pace) -> float:
    if trained(technique):
        return _TORCH_SECONDS + measured.training_seconds
    if isinstance(technique, QuantizeStatic):
        return 1.0 + 2 * _CALIBRATED_ROWS * measured.row_seconds
    return 0.5 if isinstance(technique, Optimize) else 1.0
