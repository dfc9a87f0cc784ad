"""One build from recipe to artifact: fetch, check, analyse, try candidates, keep the best, package."""

from dataclasses import replace
from pathlib import Path

from slipstream_builder import inputs, sessions, summarise
from slipstream_builder.arrays import Rows
from slipstream_builder.artifact import package, workspace
from slipstream_builder.errors import RecipeError, ValidationError
from slipstream_builder.files import write_atomically
from slipstream_builder.gate import evaluate
from slipstream_builder.measuring import machine, profile
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.measuring.profile import Profile
from slipstream_builder.outcome import BuildReport, GateSettings, Outcome
from slipstream_builder.reporting import Reporter
from slipstream_builder.search import choice, original, plan, trial
from slipstream_builder.search.cache import CandidateCache
from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import REPORT_JSON_FILE, LatencyCurve
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary


def run(recipe: Recipe, store: Path, work: Path, reporter: Reporter) -> BuildSummary:
    """Build `recipe` into `store` and return the summary, or that of an earlier build of the same inputs.

    `work` is an empty folder on the store's file system, which the caller removes.

    Raises:
        BuilderError: there is no artifact; the error says why.
    """
    plan.check(recipe)
    if not sessions.available(recipe.accelerator):
        raise RecipeError(f"recipe.accelerator: ONNX Runtime here cannot use {recipe.accelerator}; build where it can")
    deadline = reporter.clock() + recipe.budget_seconds
    files = inputs.fetch_all(recipe, reporter)
    if (earlier := _reusable(store, recipe, files)) is not None:
        reporter.step("package", 1.0, "the same inputs were built before: reused")
        return earlier
    given = inputs.load_all(recipe, files)
    bench = _bench(recipe, files, given, store, reporter, deadline)
    return _build(bench, given, files, store, work)


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


def _bench(
    recipe: Recipe, files: inputs.Files, given: inputs.Inputs, store: Path, reporter: Reporter, deadline: float
) -> trial.Bench:
    key = codec.digest({"inputs": files.digests, "tools": machine.tool_versions(), "cpu": machine.cpu_features()})
    return trial.Bench(
        recipe=recipe,
        source=given.model.proto,
        unlabelled=given.unlabelled,
        rows=given.sample,
        task=given.metric.task if given.metric else "classification",
        accuracy=_accuracy(recipe, given),
        cache=CandidateCache(workspace.cache_folder(store, recipe.digest), key),
        reporter=reporter,
        deadline=deadline,
    )


def _accuracy(recipe: Recipe, given: inputs.Inputs) -> trial.Accuracy | None:
    """Return what the accuracy gate needs: the source's own scores are the baseline.

    Raises:
        ValidationError: the source scores nothing, or no number, so no loss could be told.
    """
    if recipe.validation is None or given.metric is None or given.labelled is None:
        return None
    session = sessions.open_session(given.model.proto.SerializeToString(), recipe.threads, recipe.accelerator)
    examination = evaluate.prepare(given.metric, given.labelled, session)
    scores = evaluate.scores(session, examination)
    if not scores.mean() > 0:
        raise ValidationError(
            f"validation set: the source model's {given.metric.name} on it is {scores.mean():.4g}, so no loss can be "
            "told; check that labels and inputs belong together"
        )
    return trial.Accuracy(examination, recipe.validation, scores)


def _build(bench: trial.Bench, given: inputs.Inputs, files: inputs.Files, store: Path, work: Path) -> BuildSummary:
    base = original.make(bench)
    features = machine.cpu_features()
    planned = plan.make(bench.recipe, base.analysis, machine.has_int8_dot(features))
    contenders = [trial.attempt(candidate, bench, base.model, work) for candidate in planned.candidates]
    kept, chosen = _select(base, contenders, bench)
    outcomes = (kept[0].outcome, *(_final(contender.outcome, kept) for contender in contenders))
    report = BuildReport(
        name=bench.recipe.name,
        recipe_digest=bench.recipe.digest,
        inputs=files.digests,
        source_bytes=len(files.model.data),
        source_metric=trial.estimate(bench.accuracy.baseline, bench.recipe.seed) if bench.accuracy else None,
        gate=_settings(bench),
        objective=bench.recipe.objective,
        accelerator=bench.recipe.accelerator,
        threads=bench.recipe.threads,
        analysis=base.analysis,
        plan=planned.reason,
        candidates=outcomes,
        baseline=plan.BASELINE,
        chosen=chosen,
        notes=(*given.notes, *base.notes),
        tools=machine.tool_versions(),
        cpu_features=features,
    )
    return _package(report, kept, given, bench, store, work)


def _select(
    base: original.Original, contenders: list[trial.Contender], bench: trial.Bench
) -> tuple[tuple[package.Kept, ...], str]:
    """Measure what passed once more, all taking turns, then keep and choose by those figures."""
    models = {plan.BASELINE: base.model}
    outcomes = {plan.BASELINE: base.outcome}
    for contender in contenders:
        if contender.outcome.status == "passed" and contender.model is not None:
            models[contender.outcome.name] = contender.model.read_bytes()
            outcomes[contender.outcome.name] = contender.outcome
    bench.reporter.step("select", 0.0, f"measuring {len(models)} variants side by side")
    opened = {name: bench.open(model) for name, model in models.items()}
    measured = profile.measure(opened, bench.rows, bench.reporter.clock)
    figures = {name: _figures(outcomes[name], measured) for name in models}
    names = choice.keep(figures[plan.BASELINE], [figures[name] for name in models if name != plan.BASELINE])
    chosen = choice.choose([figures[name] for name in names])
    bench.reporter.step("select", 1.0, f"{chosen} is the fastest at batch {SERVED_BATCH}")
    kept = tuple(_kept(outcomes[name], models[name], opened[name], measured) for name in names)
    return kept, chosen


def _kept(outcome: Outcome, model: bytes, session: sessions.Session, measured: Profile) -> package.Kept:
    curve = measured.curve(outcome.name)
    return package.Kept(replace(outcome, status="kept", latency=curve), model, session, curve)


def _figures(outcome: Outcome, measured: Profile) -> choice.Figures:
    seconds = measured.curve(outcome.name).measured_seconds(SERVED_BATCH)
    return choice.Figures(outcome.name, outcome.drop or 0.0, seconds, outcome.bytes or 0)


def _final(outcome: Outcome, kept: tuple[package.Kept, ...]) -> Outcome:
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


def _settings(bench: trial.Bench) -> GateSettings | None:
    if bench.accuracy is None:
        return None
    metric, asked = bench.accuracy.examination.metric, bench.accuracy.asked
    return GateSettings(
        metric.name, metric.higher_is_better, asked.max_drop, asked.confidence, len(bench.accuracy.baseline)
    )


def _package(
    report: BuildReport,
    kept: tuple[package.Kept, ...],
    given: inputs.Inputs,
    bench: trial.Bench,
    store: Path,
    work: Path,
) -> BuildSummary:
    bench.reporter.step("package", 0.0, f"writing {len(kept)} variants and the report")
    folder = work / "artifact"
    folder.mkdir()
    rows: Rows = given.sample
    digest, manifest = package.write(folder, kept, report, given.model.inputs, given.model.outputs, rows)
    workspace.publish(folder, store, digest)
    summary = summarise.succeeded(report, manifest, digest)
    write_atomically(workspace.summary_path(store, bench.recipe.digest), summary.to_json().encode())
    workspace.clear_cache(store, bench.recipe.digest)
    bench.reporter.step("package", 1.0, summary.message)
    return summary
