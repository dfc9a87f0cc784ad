"""Checks a manifest exactly as the API server would: the CRD's own schema, defaults and CEL rules.

Sharing the CRD keeps `slipstream up` and `kubectl apply` of one mind; a test applies the same bad manifests to both.
"""

import copy
import difflib
import functools
from collections.abc import Iterator
from importlib import resources
from typing import Any, cast

import jsonschema
import yaml

from slipstream_contract import names
from slipstream_operator.api import rules
from slipstream_operator.errors import ManifestError

Schema = dict[str, Any]


@functools.cache
def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition."""
    text = resources.files(__package__).joinpath("agentdeployments.yaml").read_text()
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def validate(document: dict[str, Any], *, accepted: bool = False) -> dict[str, Any]:
    """Return a copy of the AgentDeployment `document` with the schema's defaults filled in.

    One that was `accepted` before is not held to the CEL rules again, which take most of the time.

    Raises:
        ManifestError: a field is unknown, missing or wrong; one problem a line.
    """
    _check_kind(document)
    schema = _schema()
    defaulted: Schema = _with_defaults(copy.deepcopy(document), schema)
    problems = list(_schema_problems(defaulted))
    if not problems and not accepted:
        problems = list(rules.problems(defaulted, schema))
    if problems:
        raise ManifestError("\n".join(dict.fromkeys(problems)))
    return defaulted


@functools.cache
def _schema() -> Schema:
    schema: Schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_closed(_schema()))


def _check_kind(document: dict[str, Any]) -> None:
    for field, wanted in (("apiVersion", names.API_VERSION), ("kind", names.KIND)):
        if document.get(field) != wanted:
            raise ManifestError(f"{field}: expected {wanted}, found {document.get(field)!r}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ManifestError("metadata.name: required field is missing; give the deployment a name")


def _with_defaults(value: Any, schema: Schema) -> Any:
    """Fill in defaults from the outside in, as structural defaulting does."""
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = copy.deepcopy(child["default"])
            if name in value:
                value[name] = _with_defaults(value[name], child)
    elif isinstance(value, list):
        return [_with_defaults(item, schema.get("items", {})) for item in value]
    return value


def _schema_problems(document: dict[str, Any]) -> Iterator[str]:
    for error in sorted(_validator().iter_errors(document), key=lambda e: list(map(str, e.absolute_path))):
        yield from _in_words(error)


def _closed(schema: Schema) -> Schema:
    """Return the schema refusing unknown fields, which the API server prunes or, asked strictly, refuses."""
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(child) for name, child in schema["properties"].items()}
        closed["additionalProperties"] = False
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed


def _in_words(error: jsonschema.ValidationError) -> Iterator[str]:
    path, rule = _dotted(error.absolute_path), cast("Any", error.validator_value)
    if error.validator == "additionalProperties":
        known = list(cast("Schema", error.schema)["properties"])
        for name in sorted(set(cast("Schema", error.instance)) - set(known)):
            yield f"{rules.join(path, name)}: unknown field; {_suggestion(name, known)}"
    elif error.validator == "required":
        for name in sorted(set(rule) - set(cast("Schema", error.instance))):
            yield f"{rules.join(path, name)}: required field is missing"
    elif error.validator == "enum":
        yield f"{path}: {error.instance!r} is not one of {', '.join(rule)}"
    elif error.validator == "type":
        quotes = "; write it in quotes" if rule == "string" and isinstance(error.instance, bool | int | float) else ""
        yield f"{path}: expected {rule}, found {error.instance!r:.80}{quotes}"
    elif error.validator in _BOUNDS:
        found = error.instance if isinstance(error.instance, int | float) else len(cast("Any", error.instance))
        yield f"{path}: {found}{_BOUNDS[error.validator].format(rule)}"
    else:
        yield f"{path}: {error.message}"


_BOUNDS = {
    "minimum": " is less than {}",
    "maximum": " is more than {}",
    "minLength": " characters; write at least {}",
    "maxLength": " characters; write at most {}",
    "minItems": " items; write at least {}",
    "maxItems": " items; write at most {}",
}


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known fields are {', '.join(known)}"


def _dotted(path: Any) -> str:
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else rules.join(text, part)
    return text
