"""Gathers what a build starts from: the model, the items that decide, the rows to calibrate and measure with."""

from dataclasses import dataclass, replace

from slipstream_builder import sessions
from slipstream_builder.arrays import Array, Policy, Rows, count, take
from slipstream_builder.errors import RecipeError, SourceError, ValidationError
from slipstream_builder.fetching import addresses
from slipstream_builder.fetching.addresses import redacted
from slipstream_builder.fetching.fetch import Fetched, Role, fetch
from slipstream_builder.fetching.meter import Report
from slipstream_builder.gate import evaluate
from slipstream_builder.reporting import Reporter
from slipstream_builder.sources import loading
from slipstream_builder.techniques.context import Explore
from slipstream_builder.validation import dataset, episodes, metrics, own
from slipstream_builder.validation.episodes import Episodes
from slipstream_contract.recipe import Environment, Recipe, Source, Validation

_MODEL = Role("model", SourceError)
_VALIDATION = Role("validation set", ValidationError)
_UNLABELLED = Role("unlabelled set", ValidationError)
_SAMPLE = 256
_SYNTHETIC_ROWS = 64
_STATES = 2048


@dataclass(frozen=True)
class Files:
    """What was fetched; the data sets are None where the recipe names none."""

    model: Fetched
    validation: Fetched | None
    unlabelled: Fetched | None

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file by role."""
        files = {"model": self.model, "validation": self.validation, "unlabelled": self.unlabelled}
        return {role: file.sha256 for role, file in files.items() if file is not None}


@dataclass(frozen=True)
class Inputs:
    """A checked model, what decides about its candidates, and the rows to learn from and to measure with.

    Either `labelled` items or `episodes` decide; both are None where there is nothing to prove with. `unlabelled` are
    the rows to calibrate and distil with, and `unlabelled_labels` their labels, where the user gave some that the
    metric knows the meaning of. In an environment, the rows are states that the source model met, and `explore`
    gathers those that any other policy meets. `sample` are the rows to measure with.
    """

    model: loading.SourceModel
    metric: metrics.Metric | None
    labelled: dataset.Labelled | None
    unlabelled: Rows
    sample: Rows
    notes: tuple[str, ...]
    unlabelled_labels: Array | None = None
    episodes: Episodes | None = None
    explore: Explore | None = None

    @property
    def deciding(self) -> evaluate.Deciding | None:
        """The items or episodes that decide."""
        return self.labelled or self.episodes


def check(validation: Validation | None) -> None:
    """Accept what is said to decide the gate.

    Raises:
        RecipeError: it is not exactly one of a data set and an environment.
        ValidationError: the metric is not known, or goes with the other of the two.
    """
    if validation is None:
        return
    if (validation.dataset is None) == (validation.environment is None):
        found = "neither is" if validation.dataset is None else "both are"
        raise RecipeError(f"recipe.validation: give either a dataset or an environment; {found} there")
    metric = own.parse(validation.metric)
    if validation.environment is not None and metric.kind != "return":
        raise ValidationError(
            f"validation.metric: {metric.name} needs a dataset; in an environment the metric is return"
        )
    if validation.dataset is not None and metric.kind == "return":
        raise ValidationError("validation.metric: return needs an environment; give environment instead of dataset")
    if validation.max_slice_drop is not None and not metric.has_slices:
        raise ValidationError(
            f"validation.maxSliceDrop: {metric.name} has no value for a slice of the items; leave maxSliceDrop out, or "
            "use a metric that is a mean over items"
        )


def fetch_all(recipe: Recipe, reporter: Reporter) -> Files:
    """Return the content of every file the recipe names.

    Raises:
        SourceError, ValidationError: one is missing, unreadable, too large or not the pinned one; or the metric is none
            for what decides.
    """
    check(recipe.validation)
    loading.refuse_pickles(recipe.model.uri)
    reporter.step("fetch", 0.0, f"fetching {redacted(recipe.model.uri)}")
    model = fetch(recipe.model, _MODEL, _progress(reporter, _MODEL, 0.0, 0.6))
    reporter.step("fetch", 0.6, f"model of {model.size / 1e6:.1f} MB")
    dataset_source = recipe.validation.dataset if recipe.validation else None
    validation = (
        fetch(dataset_source, _VALIDATION, _progress(reporter, _VALIDATION, 0.6, 0.8)) if dataset_source else None
    )
    report = _progress(reporter, _UNLABELLED, 0.8, 1.0)
    unlabelled = fetch(recipe.unlabelled, _UNLABELLED, report) if recipe.unlabelled else None
    reporter.step("fetch", 1.0, "all files are here")
    return Files(model, validation, unlabelled)


def _progress(reporter: Reporter, role: Role, start: float, end: float) -> Report:
    def report(fraction: float, words: str) -> None:
        reporter.step("fetch", start + (end - start) * fraction, f"{role.words}: {words}")

    return report


def load_all(recipe: Recipe, files: Files) -> Inputs:
    """Return the fetched files, checked against each other.

    Raises:
        SourceError, ValidationError: one is not fit to build from.
    """
    return load_data(recipe, files, loading.load(files.model, recipe.threads, recipe.accelerator))


def load_data(recipe: Recipe, files: Files, model: loading.SourceModel) -> Inputs:
    """Return the data beside the checked `model`; a candidate's process calls it with the model as it was loaded.

    Raises:
        ValidationError: the data is not fit to decide about `model`.
    """
    asked = recipe.validation
    metric = own.parse(asked.metric) if asked is not None else None
    given, notes = _unlabelled(files, model, metric)
    notes = (*model.notes, *notes)
    if asked is None or metric is None:
        synthetic = loading.synthetic_rows(model.inputs, _SYNTHETIC_ROWS, recipe.seed)
        rows = given.inputs if given is not None else synthetic
        return Inputs(model, None, None, rows, _sample(rows), notes)
    if asked.environment is not None:
        return _in_environment(recipe, asked.environment, model, metric, given, notes)
    if files.validation is None:
        raise RecipeError("recipe.validation: give a dataset or an environment; neither is there")
    return _on_items(recipe, files.validation.data, model, metric, given, notes)


def _unlabelled(
    files: Files, model: loading.SourceModel, metric: metrics.Metric | None
) -> tuple[dataset.Unlabelled | None, tuple[str, ...]]:
    if files.unlabelled is None:
        return None, ()
    return dataset.read_unlabelled(files.unlabelled.data, model.inputs, model.outputs[0], metric)


def _on_items(
    recipe: Recipe,
    data: bytes,
    model: loading.SourceModel,
    metric: metrics.Metric,
    unlabelled: dataset.Unlabelled | None,
    notes: tuple[str, ...],
) -> Inputs:
    labelled, converted = dataset.read_labelled(data, model.inputs, model.outputs[0], metric)
    notes, shared = (*notes, *converted), unlabelled is None and recipe.mode != "Off"
    if shared:
        whole = labelled.items
        labelled, unlabelled = dataset.set_aside(labelled, metric, recipe.seed)
        notes = (
            *notes,
            f"no unlabelled set was given: {whole - labelled.items} of {whole} validation items calibrate and distil, "
            f"and only the other {labelled.items} count in the gate",
        )
    _require_enough(recipe, metric, labelled, shared=shared)
    evaluate.require_slices(labelled, recipe.validation)
    rows = unlabelled if unlabelled is not None else dataset.Unlabelled(labelled.inputs, None)
    return Inputs(model, metric, labelled, rows.inputs, _sample(labelled.inputs), notes, rows.labels)


def _in_environment(
    recipe: Recipe,
    environment: Environment,
    model: loading.SourceModel,
    metric: metrics.Metric,
    unlabelled: dataset.Unlabelled | None,
    notes: tuple[str, ...],
) -> Inputs:
    deciding = episodes.prepare(environment, model.inputs, model.outputs[0], recipe.seed)
    _require_enough(recipe, metric, deciding, shared=False)
    session = sessions.open_session(model.proto.SerializeToString(), recipe.threads, recipe.accelerator)
    met = episodes.states(evaluate.as_policy(session), deciding, _STATES, recipe.seed)
    rows = unlabelled.inputs if unlabelled is not None else met

    def explore(policy: Policy, number: int, seed: int) -> Rows:
        return episodes.states(policy, deciding, number, seed)

    return Inputs(model, metric, None, rows, _sample(met), notes, None, deciding, explore)


def _require_enough(recipe: Recipe, metric: metrics.Metric, deciding: evaluate.Deciding, *, shared: bool) -> None:
    asked = recipe.validation
    if asked is not None:
        evaluate.require_enough(metric, deciding, asked.max_drop, asked.confidence, shared)


def _sample(rows: Rows) -> Rows:
    return take(rows, slice(0, min(count(rows), _SAMPLE)))


def without_secrets(recipe: Recipe) -> Recipe:
    """Return the recipe as an artifact may show it: its addresses without passwords and signatures."""

    def shown(source: Source | None) -> Source | None:
        return replace(source, uri=addresses.without_secrets(source.uri)) if source else None

    validation = recipe.validation
    if validation is not None:
        validation = replace(validation, dataset=shown(validation.dataset))
    model = shown(recipe.model) or recipe.model
    return replace(recipe, model=model, validation=validation, unlabelled=shown(recipe.unlabelled))
