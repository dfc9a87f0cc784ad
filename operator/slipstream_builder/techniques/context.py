"""What a technique may look at besides the model it changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx

from slipstream_builder.arrays import Array, Policy, Rows

Task = Literal["ranking", "classification", "regression", "embedding", "policy"]

Explore = Callable[[Policy, int, int], Rows]
"""Acts with a policy in the environment and returns the states it met: (policy, number of states, seed) -> rows."""


@dataclass(frozen=True)
class TechniqueContext:
    """The surroundings of a technique.

    `source` is the original model and, in distillation, the teacher. `unlabelled` holds inputs by name, to calibrate
    and distil with; the first axis counts the items. `threads` is the number of threads to compute with: like
    `seed`, it belongs to the conditions under which the same bytes come out. `report` takes the progress within the
    technique, 0 to 1, and a line for people. `labels` belong to the unlabelled rows, where the user gave some;
    `explore` gathers the states that a student meets, where there is an environment. A policy's first output is one
    score an action where `discrete_actions`, else the actions themselves.
    """

    source: onnx.ModelProto
    unlabelled: Rows
    task: Task
    seed: int
    threads: int
    report: Callable[[float, str], None]
    labels: Array | None = None
    explore: Explore | None = None
    discrete_actions: bool = True
