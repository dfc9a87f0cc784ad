"""A candidate's own process: builds one model, keeps it, judges it, keeps that too, and ends.

`python -m slipstream_builder.search.worker TASK --parent PID`. Progress goes to standard output; what was made goes to
the cache. The exit code is 0 where the cache holds all that was asked for, 3 where the disk is full, else 1 with the
reason as the last line on standard error.
"""

import argparse
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx

from slipstream_builder import sessions
from slipstream_builder.arrays import Scores
from slipstream_builder.errors import TechniqueError
from slipstream_builder.files import is_disk_full, sha256
from slipstream_builder.gate import evaluate
from slipstream_builder.inputs import Inputs
from slipstream_builder.reporting import Reporter, StopRequest
from slipstream_builder.search import estimates, judging, tasks
from slipstream_builder.search.cache import CandidateCache, Record
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.apply import apply, estimated_operations
from slipstream_builder.techniques.configs import PruneChannels
from slipstream_builder.techniques.context import TechniqueContext
from slipstream_contract import codec
from slipstream_contract.progress import Progress
from slipstream_contract.summary import EXIT_CODES

_PR_SET_PDEATHSIG = 1


def work(task: tasks.Task, reporter: Reporter) -> None:
    """Build and judge the candidate of `task`; whatever the cache has of it is not done again.

    Raises:
        OSError: what was made cannot be kept.
        Exception: whatever techniques and runtimes raise on models that they cannot take, but for TechniqueError,
            which the cache keeps as the candidate's end.
    """
    cache = CandidateCache(Path(task.cache))
    given, baseline = tasks.load(task)
    record = cache.get(task.name, task.key)
    if record is None:
        started = reporter.clock()
        try:
            model = _built(task, given, reporter)
        except TechniqueError as error:
            cache.put(task.name, Record(task.key, failure=str(error)))
            return
        seconds = reporter.clock() - started
        operations = _training_operations(given) if task.estimated else None
        record = Record(task.key, sha256=sha256(model), seconds=seconds, training_operations=operations)
        cache.put(task.name, record, model)
    if task.judged and record.failure is None and record.judgement is None:
        reporter.step(task.name, 1.0, "judging accuracy and isolation")
        model = cache.model(task.name)
        session = sessions.open_session(model, task.recipe.threads, task.recipe.accelerator)
        accuracy = _accuracy(task, given, baseline)
        judgement = judging.judge(model, session, given.sample, accuracy, hasty=True)
        cache.put(task.name, replace(record, judgement=judgement))


def _built(task: tasks.Task, given: Inputs, reporter: Reporter) -> bytes:
    chosen = tasks.techniques(task.techniques)
    model = onnx.ModelProto()
    model.CopyFrom(given.model.proto)
    weights = [estimates.weight(technique) for technique in chosen]
    for position, technique in enumerate(chosen):
        report = _share(reporter, task.name, sum(weights[:position]) / sum(weights), weights[position] / sum(weights))
        report(0.0, catalogue.labels((technique,))[0])
        context = TechniqueContext(
            source=given.model.proto,
            unlabelled=given.unlabelled,
            task=given.metric.task if given.metric else "classification",
            seed=task.recipe.seed,
            threads=task.recipe.threads,
            report=report,
            labels=given.unlabelled_labels,
            explore=given.explore,
            discrete_actions=given.episodes is None or given.episodes.discrete,
        )
        model = apply(technique, model, context)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _training_operations(given: Inputs) -> float | None:
    """Return the operations of one course of training, None where the model cannot be trained."""
    with contextlib.suppress(TechniqueError):
        return estimated_operations(PruneChannels(0.5), given.model.proto, given.unlabelled)
    return None


def _share(reporter: Reporter, name: str, done: float, share: float) -> Callable[[float, str], None]:
    """Return a reporter for one technique's `share` of the candidate's step, of which `done` is behind it."""
    return lambda fraction, message: reporter.step(name, done + share * fraction, message)


def _accuracy(task: tasks.Task, given: Inputs, baseline: Scores | None) -> judging.Accuracy | None:
    asked = task.recipe.validation
    if asked is None or given.metric is None or given.deciding is None or baseline is None:
        return None
    source = sessions.open_session(given.model.proto.SerializeToString(), task.recipe.threads, task.recipe.accelerator)
    return judging.Accuracy(evaluate.prepare(given.metric, given.deciding, source), asked, baseline, task.recipe.seed)


def _tied_to(parent: int) -> None:
    """End with the parent, however it ends, and be the first to go when memory runs out."""
    with contextlib.suppress(OSError, AttributeError):  # only Linux has these
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:
        sys.exit(1)


def _print(progress: Progress) -> None:
    sys.stdout.write(progress.to_line() + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do the task that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description="Builds and judges one candidate; started by a build.")
    parser.add_argument("task", type=Path)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    _tied_to(options.parent)
    try:
        work(
            codec.decode_json(tasks.Task, options.task.read_bytes(), str(options.task)),
            Reporter(_print, time.monotonic, StopRequest()),
        )
    except Exception as error:  # noqa: BLE001  # techniques meet models of every kind: a line, not a traceback
        if is_disk_full(error):
            return EXIT_CODES["OutOfDisk"]
        line = " ".join(str(error).split())[:300]
        sys.stderr.write(f"{type(error).__name__}: {line}\n")
        return 1
    return 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
