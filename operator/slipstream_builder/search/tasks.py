"""What a candidate's process is told, as files: a folder of inputs that all share, and a line of settings each."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

from slipstream_builder.arrays import Scores
from slipstream_builder.errors import TechniqueError
from slipstream_builder.fetching.fetch import Fetched
from slipstream_builder.inputs import Files, Inputs, load_data
from slipstream_builder.sources.loading import SourceModel
from slipstream_builder.techniques import configs
from slipstream_contract import codec
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Recipe

_MODEL, _VALIDATION, _UNLABELLED, _BASELINE = "model.onnx", "validation.data", "unlabelled.data", "baseline.npy"


@dataclass(frozen=True)
class Setting:
    """One technique: the name of its settings' class, and the settings."""

    kind: str
    values: dict[str, object]


@dataclass(frozen=True)
class Task:
    """One candidate to build and, if `judged`, to put to the gates that need no clock.

    `estimated` asks for the operations that a course of training would take, for which torch must be loaded.
    `shared` is the folder with the inputs; finished work goes to the folder `cache` under the key `key`.
    """

    name: str
    techniques: tuple[Setting, ...]
    judged: bool
    estimated: bool
    recipe: Recipe
    digests: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    shared: str
    cache: str
    key: str


def settings(techniques: tuple[configs.Technique, ...]) -> tuple[Setting, ...]:
    """Return the techniques as settings, which `techniques` turns back."""
    return tuple(Setting(type(technique).__name__, asdict(technique)) for technique in techniques)


def techniques(chosen: tuple[Setting, ...]) -> tuple[configs.Technique, ...]:
    """Return the techniques that the settings describe.

    Raises:
        TechniqueError: a technique is not known here, so the task came from another version.
    """
    found = []
    for setting in chosen:
        kind = getattr(configs, setting.kind, None)
        if kind is None:
            raise TechniqueError(f"{setting.kind} is not a technique of this version; build again")
        found.append(codec.decode(kind, setting.values, setting.kind))
    return tuple(found)


def share(folder: Path, files: Files, model: SourceModel, baseline: Scores | None) -> None:
    """Write what every candidate's process reads."""
    folder.mkdir(exist_ok=True)
    onnx.save_model(model.proto, folder / _MODEL)
    for name, file in ((_VALIDATION, files.validation), (_UNLABELLED, files.unlabelled)):
        if file is not None:
            (folder / name).write_bytes(file.data)
    if baseline is not None:
        np.save(folder / _BASELINE, baseline)


def source_model(task: Task) -> bytes:
    """Return the checked source model, serialised, as it was shared."""
    return (Path(task.shared) / _MODEL).read_bytes()


def load(task: Task) -> tuple[Inputs, Scores | None]:
    """Return the shared inputs of `task`, and the source model's scores where there is an accuracy gate.

    Raises:
        ValidationError: the data is not fit to decide, which the build itself found first.
    """
    folder = Path(task.shared)
    model = SourceModel(onnx.load_model(folder / _MODEL), task.digests["model"], task.inputs, task.outputs)
    files = Files(
        model=Fetched(b"", task.digests["model"]),
        validation=_fetched(folder / _VALIDATION, task.digests.get("validation")),
        unlabelled=_fetched(folder / _UNLABELLED, task.digests.get("unlabelled")),
    )
    baseline = np.load(folder / _BASELINE, allow_pickle=False) if (folder / _BASELINE).exists() else None
    return load_data(task.recipe, files, model), baseline


def _fetched(path: Path, digest: str | None) -> Fetched | None:
    return Fetched(path.read_bytes(), digest) if digest is not None else None
