"""Puts every contender of one model to the same gates, and times them in turns in one run."""

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.build import cases, results
from bench.build.building import Built
from bench.build.models.store import BenchError
from bench.build.peers import Peer
from bench.shared.machine import this_machine
from slipstream_builder import inputs, sessions
from slipstream_builder.gate import evaluate
from slipstream_builder.measuring import latency, profile
from slipstream_builder.measuring.profile import Profile
from slipstream_builder.reporting import Reporter, StopRequest
from slipstream_builder.search import judging as gates
from slipstream_builder.sessions import Session
from slipstream_contract.progress import Progress
from slipstream_contract.recipe import Recipe
from slipstream_operator.local import manifest_file

ORIGINAL, OURS = "optimised original", "Slipstream"


def load(manifest: Path) -> tuple[Recipe, inputs.Inputs]:
    """Return the recipe of the manifest file and its inputs, as the builder itself reads them."""
    recipe = manifest_file.read(manifest).recipe
    reporter = Reporter(_silent, time.monotonic, StopRequest())
    return recipe, inputs.load_all(recipe, inputs.fetch_all(recipe, reporter))


class Judge:
    """The builder's own gates for one model: accuracy against the source's scores, and batch isolation."""

    def __init__(self, recipe: Recipe, given: inputs.Inputs) -> None:
        if recipe.validation is None or given.metric is None or given.deciding is None:
            raise ValueError("the manifest names no validation set")
        source = sessions.open_session(given.model.proto.SerializeToString(), recipe.threads)
        examination = evaluate.prepare(given.metric, given.deciding, source)
        baseline = evaluate.scores(source, examination)
        self._rows, self._accuracy = given.sample, gates.Accuracy(examination, recipe.validation, baseline, recipe.seed)
        self.items, self.metric = len(baseline), float(baseline.mean())

    def judge(self, name: str, techniques: tuple[str, ...], model: bytes, session: Session) -> results.Entry:
        """Return what the gates say of `session`, which runs `model`."""
        found = gates.judge(model, session, self._rows, self._accuracy, hasty=False)
        failed = [f"{verdict.name}: {verdict.reason}" for verdict in found.verdicts if not verdict.passed]
        return results.Entry(
            name,
            techniques,
            passed=not failed,
            reason="; ".join(failed) or "passed every gate",
            bytes=found.bytes,
            metric=found.metric.value if found.metric else None,
            drop=found.drop,
            bound=found.drop_bound,
        )


def judge_all(case: cases.Case, built: Built, peers: tuple[Peer, ...], manifest: Path) -> results.CaseResult:
    """Return the results of our chosen variant and of every peer, side by side.

    Raises:
        BenchError: our own variant does not run.
    """
    recipe, given = load(manifest)
    judge = Judge(recipe, given)
    chosen, baseline = built.manifest.variant(built.manifest.chosen), built.model(built.manifest.baseline)
    models = {OURS: built.model(chosen.name)} | {peer.name: peer.model for peer in peers if peer.model is not None}
    opened = {ORIGINAL: sessions.open_session(baseline, recipe.threads)}
    entries, refused = [], [results.Entry(peer.name, (), False, peer.reason) for peer in peers if peer.model is None]
    for name, model in models.items():
        try:
            opened[name] = sessions.open_session(model, recipe.threads)
            entries.append(judge.judge(name, chosen.techniques if name == OURS else (), model, opened[name]))
        except Exception as error:  # a model that will not run is its maker's result
            if name == OURS:
                raise BenchError(f"{case.name}: our own variant does not run: {error}") from error
            opened.pop(name, None)
            refused.append(results.Entry(name, (), False, f"does not run: {' '.join(str(error).split())[:160]}"))
    measured = profile.measure(opened, given.sample, profile.Timer(time.perf_counter, time.process_time))
    return results.CaseResult(
        name=case.name,
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        items=judge.items,
        metric=judge.metric,
        original_bytes=len(baseline),
        source_bytes=len(given.model.proto.SerializeToString()),
        original_milliseconds={
            str(batch): median(measured.rounds[ORIGINAL][batch]) * 1e3 for batch in profile.BENCHMARK_BATCHES
        },
        build_seconds=built.cost.seconds,
        build_peak_bytes=built.cost.peak_bytes,
        entries=(*(_timed(entry, measured) for entry in entries), *refused),
        machine=this_machine(),
    )


def _timed(entry: results.Entry, measured: Profile) -> results.Entry:
    rounds = measured.rounds
    ours = None
    if entry.name != OURS and OURS in rounds:
        ours = latency.compare(cases.BATCH, rounds[OURS][cases.BATCH], rounds[entry.name][cases.BATCH])
    return replace(entry, timings=measured.timings(entry.name, ORIGINAL), ours_over_it=ours)


def _silent(_progress: Progress) -> None:
    """Swallow the builder's progress: reading the inputs takes a second."""
