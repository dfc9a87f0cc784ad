"""Gathers what a build starts from: the model, the items that decide, the rows to calibrate and measure with."""

from dataclasses import dataclass

from slipstream_builder.arrays import Rows, count, take
from slipstream_builder.errors import SourceError, ValidationError
from slipstream_builder.gate import evaluate
from slipstream_builder.reporting import Reporter
from slipstream_builder.sources import loading
from slipstream_builder.sources.addresses import redacted
from slipstream_builder.sources.fetch import Fetched, Role, fetch
from slipstream_builder.sources.meter import Report
from slipstream_builder.validation import dataset, metrics
from slipstream_contract.recipe import Recipe

_MODEL = Role("model", SourceError)
_VALIDATION = Role("validation set", ValidationError)
_UNLABELLED = Role("unlabelled set", ValidationError)
_SAMPLE = 256
_SYNTHETIC_ROWS = 64


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
    """A checked model, the labelled items that decide (None: nothing to prove with), and unlabelled and sample rows."""

    model: loading.SourceModel
    metric: metrics.Metric | None
    labelled: dataset.Labelled | None
    unlabelled: Rows
    sample: Rows
    notes: tuple[str, ...]


def fetch_all(recipe: Recipe, reporter: Reporter) -> Files:
    """Return the content of every file the recipe names.

    Raises:
        SourceError, ValidationError: one is missing, unreadable, too large or not the pinned one.
    """
    loading.refuse_pickles(recipe.model.uri)
    reporter.step("fetch", 0.0, f"fetching {redacted(recipe.model.uri)}")
    model = fetch(recipe.model, _MODEL, _progress(reporter, _MODEL, 0.0, 0.6))
    reporter.step("fetch", 0.6, f"model of {model.size / 1e6:.1f} MB")
    dataset_source = recipe.validation.dataset if recipe.validation else None
    validation = fetch(dataset_source, _VALIDATION, _progress(reporter, _VALIDATION, 0.6, 0.8)) if dataset_source else None
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
    unlabelled = dataset.read_unlabelled(files.unlabelled.data, model.inputs) if files.unlabelled else None
    if recipe.validation is None or files.validation is None:
        rows = (
            unlabelled if unlabelled is not None else loading.synthetic_rows(model.inputs, _SYNTHETIC_ROWS, recipe.seed)
        )
        return Inputs(model, None, None, rows, _sample(rows), ())
    metric = metrics.parse(recipe.validation.metric)
    labelled = dataset.read_labelled(files.validation.data, model.inputs, model.outputs[0], metric)
    shared = unlabelled is None and recipe.mode != "Off"
    notes: tuple[str, ...] = ()
    if shared:
        whole = labelled.items
        labelled, unlabelled = dataset.set_aside(labelled, recipe.seed)
        notes = (
            f"no unlabelled set was given: {whole - labelled.items} of {whole} validation items calibrate and distil, "
            f"and only the other {labelled.items} count in the gate",
        )
    evaluate.require_enough(labelled, recipe.validation.max_drop, recipe.validation.confidence, shared)
    rows = unlabelled if unlabelled is not None else labelled.inputs
    return Inputs(model, metric, labelled, rows, _sample(labelled.inputs), notes)


def _sample(rows: Rows) -> Rows:
    return take(rows, slice(0, min(count(rows), _SAMPLE)))
