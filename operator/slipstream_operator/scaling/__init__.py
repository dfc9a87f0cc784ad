"""Decides how many replicas to run: pure functions of samples, policy, remembered state and `now`."""

from slipstream_operator.scaling.capacity import Capacity, sustainable_rate
from slipstream_operator.scaling.decision import decide
from slipstream_operator.scaling.exposition import ExpositionError, parse
from slipstream_operator.scaling.model import Decision, Evidence, Policy, Replica, State
from slipstream_operator.scaling.policy import Behavior, Rules, ScalingPolicy
from slipstream_operator.scaling.samples import ReplicaSample, Window
from slipstream_operator.scaling.tuning import Tuning

__all__ = [
    "Behavior",
    "Capacity",
    "Decision",
    "Evidence",
    "ExpositionError",
    "Policy",
    "Replica",
    "ReplicaSample",
    "Rules",
    "ScalingPolicy",
    "State",
    "Tuning",
    "Window",
    "decide",
    "parse",
    "sustainable_rate",
]
