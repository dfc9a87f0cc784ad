"""Pruning of channels or single weights on the polynomial-decay schedule, interleaved with distillation.

Pruning takes the first two fifths of the steps, in twelve updates along the schedule; the rest is recovery.
"""

from collections.abc import Callable
from functools import partial

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
from slipstream_builder.techniques.training.prunable import with_prunable_form
from slipstream_builder.techniques.training.schedule import sparsity
from slipstream_builder.techniques.training.students import PRUNING_SHARE, examples, finished, teach
from slipstream_builder.techniques.training.weights import Masks

UPDATES = 12


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
        student = Interpreter(prunable)
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
        student = Interpreter(model)
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
    """Removes channels along the schedule."""

    def __init__(
        self, model: onnx.ModelProto, student: Interpreter, course: Course, fraction: float, context: TechniqueContext
    ) -> None:
        given = examples(student, context.unlabelled)
        try:
            self._roots = prunable_roots(partial(Interpreter, model), given)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TechniqueError(f"the graph does not run in torch: {error}") from error
        if not self._roots:
            raise TechniqueError("no layer has channels that can be pruned")
        self._channels = Channels(student, given)
        self._goal = _goals(course, fraction)

    def before(self, step: int) -> bool:
        goal = self._goal(step)
        return goal is not None and sum(self._channels.removed(root, goal) for root in self._roots) > 0

    def after(self) -> None:
        """Channels that are gone stay gone."""


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
