"""What a technique may look at besides the model it changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx

from slipstream_builder.arrays import Rows

Task = Literal["ranking", "classification", "regression"]


@dataclass(frozen=True)
class TechniqueContext:
    """The surroundings of a technique.

    `source` is the original model and, in distillation, the teacher. `unlabelled` holds inputs by name, to calibrate
    and distil with; the first axis counts the items. `threads` is the number of threads to compute with: like
    `seed`, it belongs to the conditions under which the same bytes come out. `report` takes the progress within the
    technique, 0 to 1, and a line for people.
    """

    source: onnx.ModelProto
    unlabelled: Rows
    task: Task
    seed: int
    threads: int
    report: Callable[[float, str], None]
