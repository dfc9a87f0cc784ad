"""Reads a manifest file: relative paths are resolved and the digests of local files pinned."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from slipstream_contract import names
from slipstream_operator.api import schema, spec
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import ManifestError

Document = dict[str, Any]


def read(path: Path) -> AgentSpec:
    """Return the one AgentDeployment in the YAML file `path`.

    Raises:
        ManifestError: the file cannot be read or holds no valid AgentDeployment; the message names file and field.
    """
    document = _only_agent_deployment(path)
    try:
        validated = schema.validate(document)
        for field, source in _sources(validated["spec"]):
            _pin(field, source, path.parent)
    except ManifestError as error:
        raise ManifestError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
    return spec.parse(validated)


def _only_agent_deployment(path: Path) -> Document:
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    objects = [d for d in documents if d is not None]
    if len(objects) > 1:
        objects = [d for d in objects if isinstance(d, dict) and d.get("kind") == names.KIND]
    if len(objects) != 1 or not isinstance(objects[0], dict):
        raise ManifestError(f"{path}: expected one {names.KIND}, found {len(objects)}")
    return objects[0]


def _sources(document: Document) -> list[tuple[str, Document]]:
    sources = [("spec.model", document["model"])]
    if "dataset" in document.get("validation", {}):
        sources.append(("spec.validation.dataset", document["validation"]["dataset"]))
    if "dataset" in document["compression"]:
        sources.append(("spec.compression.dataset", document["compression"]["dataset"]))
    return sources


def _pin(field: str, source: Document, base: Path) -> None:
    """Make a local path absolute and pin its digest, so that a changed file is a changed recipe."""
    uri = source["uri"]
    if ":" in uri and not uri.startswith("file:"):
        return
    file = (base / uri.removeprefix("file://").removeprefix("file:")).resolve()
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise ManifestError(f"{field}.uri: {file}: cannot be read ({error.strerror})") from error
    wanted = source.get("sha256", found)
    if wanted != found:
        raise ManifestError(f"{field}.sha256: {file} has {found}; correct the digest or restore the file")
    source["uri"], source["sha256"] = file.as_uri(), found
