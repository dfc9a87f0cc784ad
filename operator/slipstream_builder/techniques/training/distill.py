"""Distillation: the student follows the teacher over varied unlabelled inputs while its channels go.

The number of steps follows from the arithmetic a step costs, never from a clock: the same model, rows, seed and thread
count give the same weights.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from slipstream_builder.arrays import Rows, count
from slipstream_builder.techniques.context import Task
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.training.augment import batches
from slipstream_builder.techniques.training.losses import distillation_loss

BATCH = 128
FEWEST_STEPS = 200
MOST_STEPS = 1000
OPERATIONS_BUDGET = 3e12
LONGEST_GRADIENT = 1.0

Teacher = Callable[[Rows], list[Tensor]]


@dataclass(frozen=True)
class Course:
    """How long to train: `steps` batches of `batch` rows, at a learning rate that falls from `rate` along a cosine."""

    steps: int
    batch: int
    rate: float


def course_for(network: Interpreter, rows: Rows) -> Course:
    """Return as many steps as the budget of floating-point operations allows, within 200 to 1000.

    A step costs about 8 operations a weight use: 2 in the teacher, 2 forward and 4 backward in the student. Dense
    networks bear a higher rate than those with convolutions or normalisation between.
    """
    batch = min(BATCH, max(8, count(rows)))
    uses = weight_uses(network, [torch.from_numpy(rows[name][:2]) for name in network.input_names]) / 2
    steps = int(OPERATIONS_BUDGET / (8.0 * batch * max(uses, 1.0)))
    dense = all(isinstance(layer, nn.Linear | nn.Embedding) for layer in network.layers)
    return Course(min(max(steps, FEWEST_STEPS), MOST_STEPS), batch, 3e-3 if dense else 1e-3)


def weight_uses(network: Interpreter, inputs: Sequence[Tensor]) -> int:
    """Return the number of multiplications by weights in one forward pass over `inputs`."""
    total = 0

    def observe(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output.numel() // weight.shape[0] * weight.numel()

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    hooks = [layer.register_forward_hook(observe) for layer in network.modules() if isinstance(layer, kinds)]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def distil(
    student: Interpreter,
    teacher: Teacher,
    rows: Rows,
    task: Task,
    course: Course,
    seed: int,
    before: Callable[[int], bool],
) -> Iterator[float]:
    """Train `student` in place, yielding the loss of each step.

    `before` is called with the number of each step ahead of it; it returns True when it changed the student's
    weights for others (pruning does), so that the optimiser must start over with the new ones.
    """
    source = batches(rows, course.batch, np.random.default_rng(seed))
    optimiser: torch.optim.Optimizer | None = None
    for step in range(course.steps):
        if before(step) or optimiser is None:
            optimiser = torch.optim.Adam(student.parameters(), lr=course.rate)
        for group in optimiser.param_groups:
            group["lr"] = course.rate * 0.5 * (1.0 + float(np.cos(np.pi * step / course.steps)))
        batch = next(source)
        loss = _loss(student(*(torch.from_numpy(batch[name]) for name in student.input_names)), teacher(batch), task)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(student.parameters(), LONGEST_GRADIENT)
        optimiser.step()
        yield float(loss.detach())


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute in torch with that many threads, and leave the setting as it was."""
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def _loss(outputs: Sequence[Tensor], wanted: Sequence[Tensor], task: Task) -> Tensor:
    pairs = [(mine, theirs) for mine, theirs in zip(outputs, wanted, strict=True) if theirs.is_floating_point()]
    return torch.stack([distillation_loss(mine, theirs, task) for mine, theirs in pairs]).sum()
