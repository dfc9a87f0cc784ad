"""Distillation: the student follows the teacher over varied inputs while parts of it go.

The same model, rows, seed and thread count give the same weights. Where there is an environment, the student's own
states are gathered on the way and the teacher is asked about those too (Ross, Gordon and Bagnell, arXiv 1011.0686):
a student that errs must know what to do where its errors lead.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from slipstream_builder.arrays import Array, Rows, count
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.training.augment import Batch, batches
from slipstream_builder.techniques.training.course import Course
from slipstream_builder.techniques.training.losses import distillation_loss, label_loss

LONGEST_GRADIENT = 1.0
LABELS_SHARE = 0.25
REFRESHES = 8
FEWEST_STATES = 256

Teacher = Callable[[Rows], list[Tensor]]


class Pruner(Protocol):
    """What takes parts of the student away while it learns."""

    def before(self, step: int) -> bool:
        """Prune ahead of a step; return True when the student's weights are now others, so optimisers start over."""

    def after(self) -> None:
        """Undo what the optimiser's step did to weights that are gone."""


def distil(
    student: Interpreter, teacher: Teacher, context: TechniqueContext, course: Course, pruner: Pruner
) -> Iterator[float]:
    """Train `student` in place, yielding the loss of each step."""
    source = _lessons(student, context, course)
    optimiser: torch.optim.Optimizer | None = None
    for step in range(course.steps):
        if pruner.before(step) or optimiser is None:
            optimiser = torch.optim.Adam(_trained(student, course), lr=course.rate)
        for group in optimiser.param_groups:
            group["lr"] = course.rate * 0.5 * (1.0 + float(np.cos(np.pi * step / course.steps)))
        loss = _loss(student, teacher, next(source), context)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(student.parameters(), LONGEST_GRADIENT)
        optimiser.step()
        pruner.after()
        yield float(loss.detach())


def _trained(student: Interpreter, course: Course) -> list[nn.Parameter]:
    """Return what is trained: all but tables of more entries than the course has rows, most of which it never meets."""
    for layer in student.layers:
        if isinstance(layer, nn.Embedding):
            layer.weight.requires_grad_(layer.num_embeddings <= course.steps * course.batch)
    return [parameter for parameter in student.parameters() if parameter.requires_grad]


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute in torch with that many threads, and leave the setting as it was."""
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def _lessons(student: Interpreter, context: TechniqueContext, course: Course) -> Iterator[Batch]:
    """Yield the batches; those of a policy come, more and more, from states that the student itself met."""
    generator = np.random.default_rng(context.seed)
    every = max(1, course.steps // REFRESHES)
    rows = context.unlabelled
    source = batches(rows, course.batch, generator)
    for step in range(course.steps):
        if context.explore is not None and step and step % every == 0:
            rows = _with_met(rows, student, context, step // every)
            source = batches(rows, course.batch, generator)
        yield next(source)


def _with_met(rows: Rows, student: Interpreter, context: TechniqueContext, turn: int) -> Rows:
    """Return `rows` and the states that the present student meets, which no earlier turn's seed has met."""

    def act(states: Rows) -> Array:
        with torch.no_grad():
            outputs = student(*(torch.from_numpy(np.ascontiguousarray(states[name])) for name in student.input_names))
        actions: Array = outputs[0].numpy()
        return actions

    if context.explore is None:
        return rows
    number = max(FEWEST_STATES, count(context.unlabelled) // REFRESHES)
    met = context.explore(act, number, context.seed + turn)
    return {name: np.concatenate([array, met[name].astype(array.dtype)]) for name, array in rows.items()}


def _loss(student: Interpreter, teacher: Teacher, batch: Batch, context: TechniqueContext) -> Tensor:
    outputs, wanted = (
        student(*(torch.from_numpy(batch.rows[name]) for name in student.input_names)),
        teacher(batch.rows),
    )
    pairs = [(mine, theirs) for mine, theirs in zip(outputs, wanted, strict=True) if theirs.is_floating_point()]
    distances = [distillation_loss(mine, theirs, context.task, context.discrete_actions) for mine, theirs in pairs]
    distance = torch.stack(distances).sum()
    if context.labels is None or not batch.unchanged.any():
        return distance
    return (1.0 - LABELS_SHARE) * distance + LABELS_SHARE * _labelled(outputs, wanted, batch, context.labels, context)


def _labelled(
    outputs: Sequence[Tensor], wanted: Sequence[Tensor], batch: Batch, labels: Array, context: TechniqueContext
) -> Tensor:
    """Return the distance from the labels of the rows left as they were; a varied row may mean something else."""
    kept = torch.from_numpy(np.flatnonzero(batch.unchanged))
    chosen = torch.from_numpy(np.ascontiguousarray(labels[batch.positions[batch.unchanged]]))
    return label_loss(outputs[0][kept], wanted[0][kept], chosen, context.task)
