"""One build from recipe to artifact: fetch, check, analyse, try candidates, keep the best, package."""

from dataclasses import dataclass, replace
from pathlib import Path

from slipstream_builder import inputs, sessions, summarise
from slipstream_builder.artifact import package, workspace
from slipstream_builder.errors import RecipeError
from slipstream_builder.files import write_atomically
from slipstream_builder.gate import evaluate
from slipstream_builder.measuring import limits, machine
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport, GateSettings, Outcome
from slipstream_builder.reporting import Reporter
from slipstream_builder.search import conductor, estimates, finalists, original, plan, tasks
from slipstream_builder.search.bench import Bench
from slipstream_builder.search.judging import Accuracy, estimate
from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import REPORT_JSON_FILE, LatencyCurve, TensorSpec
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary


@dataclass(frozen=True)
class Place:
    """Where a build works: the artifact store, and an empty folder on its file system, which the caller removes.

    `workers` candidates are built at a time; None: as many as processors and memory allow.
    """

    store: Path
    work: Path
    workers: int | None


@dataclass(frozen=True)
class _Source:
    """What the report and the artifact say of the inputs, once the inputs themselves are on disk."""

    digests: dict[str, str]
    bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]


def run(recipe: Recipe, place: Place, reporter: Reporter) -> BuildSummary:
    """Build `recipe` into the store and return the summary, or that of an earlier build of the same inputs.

    Raises:
        BuilderError: there is no artifact; the error says why.
    """
    plan.check(recipe)
    if not sessions.available(recipe.accelerator):
        raise RecipeError(f"recipe.accelerator: ONNX Runtime here cannot use {recipe.accelerator}; build where it can")
    deadline = reporter.clock() + recipe.budget_seconds
    files = inputs.fetch_all(recipe, reporter)
    if (earlier := _reusable(place.store, recipe, files)) is not None:
        reporter.step("package", 1.0, "the same inputs were built before: reused")
        return earlier
    source, bench = _prepared(recipe, files, place, reporter, deadline)
    return _build(bench, source, place)


def _reusable(store: Path, recipe: Recipe, files: inputs.Files) -> BuildSummary | None:
    found = workspace.find_finished(store, recipe.digest)
    if found is None:
        return None
    summary, folder = found
    try:
        report = codec.decode_json(BuildReport, (folder / REPORT_JSON_FILE).read_bytes(), REPORT_JSON_FILE)
    except (OSError, ContractError):
        return None
    return summary if report.inputs == files.digests else None


def _prepared(
    recipe: Recipe, files: inputs.Files, place: Place, reporter: Reporter, deadline: float
) -> tuple[_Source, Bench]:
    """Check the inputs, score the source, and leave on disk what candidates need; the rest is let go."""
    given = inputs.load_all(recipe, files)
    accuracy = _accuracy(recipe, given)
    shared, cache = place.work / "shared", workspace.cache_folder(place.store, recipe.digest)
    tasks.share(shared, files, given.model, accuracy.baseline if accuracy else None)
    key = codec.digest({"inputs": files.digests, "tools": machine.tool_versions(), "cpu": machine.cpu_features()})
    specs = (given.model.inputs, given.model.outputs)
    task = tasks.Task("", (), False, False, recipe, files.digests, *specs, str(shared), str(cache), key)
    folder = place.work / "tasks"
    folder.mkdir()
    workers = place.workers or limits.workers(recipe.threads, files.model.size)
    workshop = conductor.Workshop(task, folder, workers, reporter)
    source = _Source(files.digests, files.model.size, *specs, given.notes)
    return source, Bench(recipe, given.sample, accuracy, workshop, deadline, given.model.agreement)


def _accuracy(recipe: Recipe, given: inputs.Inputs) -> Accuracy | None:
    """Return what the accuracy gate needs: the source's own scores are the baseline.

    Raises:
        ValidationError: the source scores nothing, or no number, so no loss could be told.
    """
    if recipe.validation is None or given.metric is None or given.deciding is None:
        return None
    session = sessions.open_session(given.model.proto.SerializeToString(), recipe.threads, recipe.accelerator)
    examination = evaluate.prepare(given.metric, given.deciding, session)
    scores = evaluate.scores(session, examination)
    evaluate.require_baseline(given.metric, scores)
    return Accuracy(examination, recipe.validation, scores, recipe.seed)


def _build(bench: Bench, source: _Source, place: Place) -> BuildSummary:
    base = original.make(bench, tasks.source_model(bench.workshop.task))
    features = machine.cpu_features()
    planned = plan.make(bench.recipe, base.analysis, machine.has_int8_dot(features))
    expected = {candidate.name: estimates.seconds(candidate, base.pace) for candidate in planned.candidates}
    # Measuring what was built belongs to the budget too.
    until = bench.deadline - len(planned.candidates) * estimates.measuring(base.pace)
    finished = conductor.build_all(planned.candidates, bench.workshop, until, expected)
    outcomes = finalists.judge(planned.candidates, finished, base, bench)
    selection = finalists.select(base, outcomes, bench)
    report = BuildReport(
        name=bench.recipe.name,
        recipe_digest=bench.recipe.digest,
        recipe=inputs.without_secrets(bench.recipe),
        inputs=source.digests,
        source_bytes=source.bytes,
        source_metric=estimate(bench.accuracy.baseline) if bench.accuracy else None,
        gate=_settings(bench),
        objective=bench.recipe.objective,
        accelerator=bench.recipe.accelerator,
        threads=bench.recipe.threads,
        analysis=base.analysis,
        plan=planned.reason,
        candidates=tuple(_final(outcome, selection.kept) for outcome in (base.outcome, *outcomes)),
        baseline=plan.BASELINE,
        chosen=selection.chosen,
        compared_batch=selection.load.batch,
        choice=selection.load.reason,
        notes=(*source.notes, *base.notes),
        tools=machine.tool_versions(),
        cpu_features=features,
    )
    return _package(report, selection.kept, source, bench, place)


def _final(outcome: Outcome, kept: tuple[finalists.Kept, ...]) -> Outcome:
    """Return the outcome as kept; or on the scale of the kept, and with the reason why one that passed was not."""
    for variant in kept:
        if variant.outcome.name == outcome.name:
            return variant.outcome
    outcome = _rescaled(outcome, kept[0].latency)
    if outcome.status == "passed":
        return replace(outcome, reason="passed every gate, but kept variants are at least as good in everything")
    return outcome


def _rescaled(outcome: Outcome, baseline: LatencyCurve) -> Outcome:
    """Return the outcome with its curve scaled so that it stands to the baseline's as it did when they took turns."""
    served = [timing.ratio for timing in outcome.timings if timing.batch == SERVED_BATCH]
    curve = outcome.latency
    if curve is None or not served:
        return outcome
    scale = served[0] * baseline.measured_seconds(SERVED_BATCH) / curve.measured_seconds(SERVED_BATCH)
    points = tuple((batch, seconds * scale) for batch, seconds in curve.points)
    scaled = LatencyCurve(curve.alpha_seconds * scale, curve.beta_seconds * scale, curve.residual, points)
    return replace(outcome, latency=scaled)


def _settings(bench: Bench) -> GateSettings | None:
    if bench.accuracy is None:
        return None
    metric, asked = bench.accuracy.examination.metric, bench.accuracy.asked
    return GateSettings(
        metric.name, metric.higher_is_better, asked.max_drop, asked.confidence, len(bench.accuracy.baseline)
    )


def _package(
    report: BuildReport, kept: tuple[finalists.Kept, ...], source: _Source, bench: Bench, place: Place
) -> BuildSummary:
    bench.reporter.step("package", 0.0, f"writing {len(kept)} variants and the report")
    folder = place.work / "artifact"
    folder.mkdir()
    digest, manifest = package.write(folder, kept, report, source.inputs, source.outputs, bench.rows)
    workspace.publish(folder, place.store, digest)
    summary = summarise.succeeded(report, manifest, digest)
    write_atomically(workspace.summary_path(place.store, report.recipe_digest), summary.to_json().encode())
    workspace.clear_cache(place.store, report.recipe_digest)
    bench.reporter.step("package", 1.0, summary.message)
    return summary
