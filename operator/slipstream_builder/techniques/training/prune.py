"""Pruning of channels or single weights on the polynomial-decay schedule, interleaved with distillation.

Pruning takes the first two fifths of the steps, in twelve updates along the schedule; the rest is recovery. Measured
on a residual digit classifier (half and three quarters of the channels, 150 steps): by the Fisher information of gates
0.961 and 0.450 of the digits stay right, by group magnitude 0.959 and 0.233.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import torch

from slipstream_builder.arrays import Rows
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.configs import PruneChannels, PruneWeights
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.training.channels import Channels, prunable_roots
from slipstream_builder.techniques.training.course import Course, course_for
from slipstream_builder.techniques.training.distill import computing
from slipstream_builder.techniques.training.heads import Attention, attentions, has_free_heads
from slipstream_builder.techniques.training.importance import Gradients, gate_gradients
from slipstream_builder.techniques.training.prunable import with_prunable_form
from slipstream_builder.techniques.training.schedule import sparsity
from slipstream_builder.techniques.training.students import PRUNING_SHARE, examples, finished, student_of, teach
from slipstream_builder.techniques.training.weights import Masks

UPDATES = 12
IMPORTANCE_BATCHES = 2


def prune_channels(technique: PruneChannels, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` without `fraction` of its hidden channels, trained to answer as the source does.

    Raises:
        TechniqueError: the fraction is none, an operator cannot be converted, nothing can be pruned, or the training
            or the way back failed.
    """
    _check_fraction(technique.fraction)
    prunable = with_prunable_form(model)
    with computing(context.threads):
        torch.manual_seed(context.seed)
        student = student_of(prunable, context)
        course = _course(student, context.unlabelled)
        teach(student, course, context, _Cutter(prunable, student, course, technique.fraction, context))
        pruned = finished(prunable, student, context)
    context.report(1.0, f"pruned {technique.fraction:.0%} of the channels")
    return pruned


def prune_weights(technique: PruneWeights, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` with `fraction` of its layers' weights at exactly 0, trained to answer as the source does.

    Raises:
        TechniqueError: the fraction is none, an operator cannot be converted, nothing can be pruned, or the training
            or the way back failed.
    """
    _check_fraction(technique.fraction)
    with computing(context.threads):
        torch.manual_seed(context.seed)
        student = student_of(model, context)
        course = _course(student, context.unlabelled)
        teach(student, course, context, _Masker(Masks(student), course, technique.fraction))
        pruned = finished(model, student, context)
    context.report(1.0, f"pruned {technique.fraction:.0%} of the weights")
    return pruned


def training_operations(model: onnx.ModelProto, rows: Rows) -> float:
    """Return the floating-point operations of a course of either pruning with `rows`.

    Raises:
        TechniqueError: the model cannot be trained.
    """
    return _course(Interpreter(model), rows).operations


class _Cutter:
    """Removes channels and attention heads along the schedule."""

    def __init__(
        self, model: onnx.ModelProto, student: Interpreter, course: Course, fraction: float, context: TechniqueContext
    ) -> None:
        given, convert = examples(student, context.unlabelled), partial(Interpreter, model)
        try:
            found = attentions(student, given)
            self._roots = prunable_roots(convert, given, found)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TechniqueError(f"the graph does not run in torch: {error}") from error
        self._attentions = [attention for attention in found if has_free_heads(attention, convert, given)]
        if not self._roots and not self._attentions:
            raise TechniqueError("no layer has channels that can be pruned")
        self._student, self._channels, self._context, self._course = student, Channels(student, given), context, course
        self._goal = _goals(course, fraction)
        self._generator = np.random.default_rng(context.seed)

    def before(self, step: int) -> bool:
        goal = self._goal(step)
        if goal is None:
            return False
        context = self._context
        gradients = gate_gradients(
            self._student,
            context.unlabelled,
            IMPORTANCE_BATCHES * self._course.batch,
            context.task,
            context.discrete_actions,
            self._generator,
        )
        heads = [self._removed(attention, goal, gradients) for attention in self._attentions]
        return sum(heads) + sum(self._channels.removed(root, goal, gradients) for root in self._roots) > 0

    def after(self) -> None:
        """Channels that are gone stay gone."""

    def _removed(self, attention: Attention, goal: float, gradients: Gradients) -> int:
        """Remove the heads that matter least until `goal` of all are gone; return how many, at least one stays."""
        surplus = attention.remaining(self._student) - max(1, round(attention.heads * (1.0 - goal)))
        if surplus > 0:
            attention.remove(self._student, attention.weakest(self._student, gradients, surplus))
        return max(surplus, 0)


class _Masker:
    """Sets weights to 0 along the schedule."""

    def __init__(self, masks: Masks, course: Course, fraction: float) -> None:
        if not len(masks):
            raise TechniqueError("no layer has weights that can be pruned")
        self._masks, self._goal = masks, _goals(course, fraction)

    def before(self, step: int) -> bool:
        goal = self._goal(step)
        if goal is not None:
            self._masks.tighten(goal)
        return False

    def after(self) -> None:
        self._masks.enforce()


def _goals(course: Course, fraction: float) -> Callable[[int], float | None]:
    """Return what says, for each step, the fraction to have pruned ahead of it, or None between updates."""
    end = max(1, int(course.steps * PRUNING_SHARE))
    every = max(1, end // UPDATES)

    def goal(step: int) -> float | None:
        if step > end or (step % every and step != end):
            return None
        return sparsity(step + every, 0, end, fraction)

    return goal


def _course(student: Interpreter, rows: Rows) -> Course:
    try:
        return course_for(student, rows)
    except (RuntimeError, ValueError, IndexError) as error:
        raise TechniqueError(f"the graph does not run in torch: {error}") from error


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise TechniqueError(f"the fraction to prune lies between 0 and 1, not at {fraction}")
