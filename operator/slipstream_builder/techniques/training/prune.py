"""Structured pruning on the polynomial-decay schedule, interleaved with distillation from the source model."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from slipstream_builder.arrays import Array, Rows
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.configs import PruneChannels
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.conversion.interpreter import Interpreter, written_back
from slipstream_builder.techniques.training.channels import Channels, prunable_roots
from slipstream_builder.techniques.training.distill import Course, Teacher, computing, course_for, distil
from slipstream_builder.techniques.training.prunable import with_prunable_form
from slipstream_builder.techniques.training.schedule import sparsity

PRUNING_SHARE = 0.4
UPDATES = 12
REPORTS = 50
EXAMPLES = 2
TOLERANCE = 1e-3


def prune_channels(technique: PruneChannels, model: onnx.ModelProto, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` without `fraction` of its hidden channels, trained to answer as the source does.

    Pruning takes the first two fifths of the steps, in twelve updates along the schedule; the rest is recovery.

    Raises:
        TechniqueError: the fraction is none, an operator cannot be converted, nothing can be pruned, or the training
            or the way back failed.
    """
    if not 0.0 < technique.fraction < 1.0:
        raise TechniqueError(f"the fraction to prune lies between 0 and 1, not at {technique.fraction}")
    prunable = with_prunable_form(model)
    with computing(context.threads):
        torch.manual_seed(context.seed)
        student = _trained(technique, prunable, context)
    pruned = written_back(prunable, student.weights())
    _check(pruned, student, context)
    context.report(1.0, f"pruned {technique.fraction:.0%} of the channels")
    return pruned


def _trained(technique: PruneChannels, model: onnx.ModelProto, context: TechniqueContext) -> Interpreter:
    student = Interpreter(model)
    examples = _examples(student, context.unlabelled)
    try:
        roots = prunable_roots(partial(Interpreter, model), examples)
    except (RuntimeError, ValueError, IndexError) as error:
        raise TechniqueError(f"the graph does not run in torch: {error}") from error
    if not roots:
        raise TechniqueError("no layer has channels that can be pruned")
    course = course_for(student, context.unlabelled)
    cut = _cutter(Channels(student, examples), roots, course, technique.fraction)
    teacher = _teacher(context.source, context.threads)
    losses = distil(student, teacher, context.unlabelled, context.task, course, context.seed, cut)
    _follow(losses, course, context)
    return student


def _cutter(channels: Channels, roots: Sequence[int], course: Course, fraction: float) -> Callable[[int], bool]:
    """Return what prunes up to the schedule ahead of a step, and says whether anything went."""
    end = max(1, int(course.steps * PRUNING_SHARE))
    every = max(1, end // UPDATES)

    def cut(step: int) -> bool:
        if step > end or (step % every and step != end):
            return False
        goal = sparsity(step + every, 0, end, fraction)
        return sum(channels.removed(root, goal) for root in roots) > 0

    return cut


def _follow(losses: Iterable[float], course: Course, context: TechniqueContext) -> None:
    every = max(1, course.steps // REPORTS)
    for step, loss in enumerate(losses, start=1):
        if not np.isfinite(loss):
            raise TechniqueError(f"the distillation diverged at step {step} of {course.steps}")
        if step % every == 0:
            phase = "pruning" if step <= course.steps * PRUNING_SHARE else "recovering"
            context.report(step / course.steps, f"{phase}: step {step} of {course.steps}, distance {loss:.2g}")


def _teacher(source: onnx.ModelProto, threads: int) -> Teacher:
    """The source runs in ONNX Runtime, as it is served: whatever operators it has, it can teach."""
    session = _session(source, threads)
    wanted = {value.name for value in session.get_inputs()}

    def answer(rows: Rows) -> list[Tensor]:
        return [torch.from_numpy(output) for output in session.run(None, {name: rows[name] for name in wanted})]

    return answer


def _check(pruned: onnx.ModelProto, student: Interpreter, context: TechniqueContext) -> None:
    """The pruned graph must answer as the trained network does, whatever was lost in between."""
    examples = _examples(student, context.unlabelled)
    try:
        session = _session(pruned, context.threads)
        served = session.run(student.output_names, _fed(student, examples))
    except Exception as error:
        raise TechniqueError(f"the pruned graph does not run: {error}") from error
    with torch.no_grad():
        expected = student(*examples)
    for name, got, wanted in zip(student.output_names, served, expected, strict=True):
        if not np.allclose(got, wanted.numpy(), rtol=TOLERANCE, atol=TOLERANCE):
            raise TechniqueError(f"output {name} of the pruned graph differs from that of the trained network")


def _session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while torch computes would take its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _examples(student: Interpreter, rows: Rows) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(rows[name][:EXAMPLES])) for name in student.input_names]


def _fed(student: Interpreter, examples: Sequence[Tensor]) -> dict[str, Array]:
    return {name: example.numpy() for name, example in zip(student.input_names, examples, strict=True)}
