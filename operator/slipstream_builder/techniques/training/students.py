"""A student's way through a technique: taught by the source model, watched, written back and checked."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from slipstream_builder.arrays import Array, Rows
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_builder.techniques.conversion.interpreter import Interpreter, written_back
from slipstream_builder.techniques.training.course import Course
from slipstream_builder.techniques.training.distill import Pruner, Teacher, distil

PRUNING_SHARE = 0.4
REPORTS = 50
EXAMPLES = 2
TOLERANCE = 1e-3


def student_of(model: onnx.ModelProto, context: TechniqueContext) -> Interpreter:
    """Return `model` as a torch module, which answers as ONNX Runtime does.

    Raises:
        TechniqueError: an operator cannot be converted, or the two disagree.
    """
    student = Interpreter(model)
    given = examples(student, context.unlabelled)
    try:
        with torch.no_grad():
            answers = student(*given)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise TechniqueError(f"the graph does not run in torch: {error}") from error
    served = session(model, context.threads).run(student.output_names, _fed(student, given))
    _check_same(student.output_names, served, answers, "the graph converted to torch", "the graph in ONNX Runtime")
    return student


def teach(student: Interpreter, course: Course, context: TechniqueContext, pruner: Pruner) -> None:
    """Train `student` in place towards the source model, reporting the progress.

    Raises:
        TechniqueError: the training diverged, or the labels do not fit the model.
    """
    every = max(1, course.steps // REPORTS)
    losses = distil(student, teacher_of(context.source, context.threads), context, course, pruner)
    try:
        for step, loss in enumerate(losses, start=1):
            if not np.isfinite(loss):
                raise TechniqueError(f"the distillation diverged at step {step} of {course.steps}")
            if step % every == 0:
                phase = "pruning" if step <= course.steps * PRUNING_SHARE else "recovering"
                context.report(step / course.steps, f"{phase}: step {step} of {course.steps}, distance {loss:.2g}")
    except (RuntimeError, ValueError, IndexError) as error:
        raise TechniqueError(f"the distillation failed: {error}") from error


def finished(model: onnx.ModelProto, student: Interpreter, context: TechniqueContext) -> onnx.ModelProto:
    """Return `model` with the student's weights.

    Raises:
        TechniqueError: the graph does not answer as the student does, so something was lost on the way back.
    """
    changed = written_back(model, student.weights())
    given = examples(student, context.unlabelled)
    try:
        served = session(changed, context.threads).run(student.output_names, _fed(student, given))
    except Exception as error:
        raise TechniqueError(f"the pruned graph does not run: {error}") from error
    with torch.no_grad():
        expected = student(*given)
    _check_same(student.output_names, served, expected, "the pruned graph", "the trained network")
    return changed


def teacher_of(source: onnx.ModelProto, threads: int) -> Teacher:
    """Return the source in ONNX Runtime, as it is served: whatever operators it has, it can teach."""
    teacher = session(source, threads)
    wanted = {value.name for value in teacher.get_inputs()}

    def answer(rows: Rows) -> list[Tensor]:
        return [torch.from_numpy(output) for output in teacher.run(None, {name: rows[name] for name in wanted})]

    return answer


def session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    """Return a session that leaves torch its cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def examples(student: Interpreter, rows: Rows) -> list[Tensor]:
    """Return a few rows of every input, in the graph's order."""
    return [torch.from_numpy(np.ascontiguousarray(rows[name][:EXAMPLES])) for name in student.input_names]


def _fed(student: Interpreter, given: Sequence[Tensor]) -> dict[str, Array]:
    return {name: example.numpy() for name, example in zip(student.input_names, given, strict=True)}


def _check_same(names: Sequence[str], served: Sequence[Array], answers: Sequence[Tensor], one: str, other: str) -> None:
    for name, got, answer in zip(names, served, answers, strict=True):
        wanted = answer.numpy()
        if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE):
            raise TechniqueError(f"output {name} of {one} differs from that of {other}")
