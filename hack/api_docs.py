"""Writes docs/api.md from the CRD: every field with its type, bounds, default, meaning and rules.

    python hack/api_docs.py

A test fails while the page is not what this would write.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CRD = ROOT / "crds" / "agentdeployments.yaml"
PAGE = ROOT / "docs" / "api.md"

Schema = dict[str, Any]

HEAD = """# AgentDeployment, field by field

`slipstream.dev/v1alpha1`, kind `AgentDeployment`, short name `agd`. Made from `crds/agentdeployments.yaml` by
`make api-docs`; `kubectl explain agd.spec --recursive` says the same of the cluster that it asks. Only `spec.model.uri`
is required:

```yaml
apiVersion: slipstream.dev/v1alpha1
kind: AgentDeployment
metadata: {name: recommender}
spec:
  model: {uri: "s3://models/recommender/v7.onnx"}
```

What cannot be is refused by `kubectl apply`, in the words below; what only the cluster or the file can tell is reported
in `status.conditions`. A whole document is refused otherwise, in these words:
"""


def page(document: Schema) -> str:
    """Return the page for the CustomResourceDefinition `document`."""
    (version,) = document["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    writer = _Writer()
    parts = [HEAD, *(f"- {rule['message']}" for rule in schema["x-kubernetes-validations"]), ""]
    for name in ("spec", "status"):
        parts += writer.section(name, schema["properties"][name], 2)
    return "\n".join([*parts, *_columns(version)])


class _Writer:
    """Writes sections; what was written before is only referred to."""

    def __init__(self) -> None:
        self._written: dict[str, str] = {}

    def section(self, path: str, schema: Schema, depth: int) -> Iterator[str]:
        """Return the section of an object, and those of the objects within it."""
        fields = schema["properties"]
        yield f"{'#' * min(depth, 4)} `{path}`\n"
        yield f"{schema['description']}\n"
        if before := self._before(path, fields):
            yield f"Its fields are those of `{before}`.\n"
            return
        yield "| Field | Type | Default | Meaning |"
        yield "|---|---|---|---|"
        for name, field in fields.items():
            yield _row(name, field, name in schema.get("required", []))
        yield ""
        yield from self._rules(path, schema)
        for name, field in fields.items():
            inner = field.get("items", field)
            if "properties" in inner:
                yield from self.section(f"{path}.{name}{'[]' * (field['type'] == 'array')}", inner, depth + 1)

    def _rules(self, path: str, schema: Schema) -> Iterator[str]:
        """Return the rules of an object and those of its plain fields."""
        found = [f"- {rule['message']}" for rule in schema.get("x-kubernetes-validations", [])]
        for name, field in schema["properties"].items():
            plain = field.get("items", field)
            rules = plain.get("x-kubernetes-validations", []) if "properties" not in plain else []
            if rules and (before := self._before(f"{path}.{name}", rules)):
                found.append(f"- `{name}`: as for `{before}`")
            else:
                found += [f"- `{name}`: {rule['message']}" for rule in rules]
        if found:
            yield "Refused otherwise, in these words:\n"
            yield from (*found, "")

    def _before(self, path: str, what: object) -> str:
        """Return the path at which the same was written before, or nothing and remember this one."""
        before = self._written.setdefault(json.dumps(what), path)
        return before if before != path else ""


def _row(name: str, field: Schema, required: bool) -> str:
    default = _default(field, required)
    meaning = field["description"].replace("|", "\\|")
    items = field.get("items", {})
    if field["type"] == "array" and "properties" not in items:
        meaning += f" Each: {items['description']}"
    return f"| `{name}` | {_type(field)} | {default} | {meaning} |"


def _default(field: Schema, required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{default}`"


def _type(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "integer":
        return f"integer, {_range(field)}"
    if field["type"] == "string":
        return f"string, at most {field['maxLength']}"
    if field["type"] == "array":
        return f"list, at most {field['maxItems']}"
    return "object"


def _range(field: Schema) -> str:
    low, high = field["minimum"], field["maximum"]
    return f"at least {low}" if high >= 2**31 - 1 else f"{low} to {high}"


def _columns(version: Schema) -> Iterator[str]:
    yield "## What `kubectl get agd` shows\n"
    yield "| Column | From | Meaning |"
    yield "|---|---|---|"
    for column in version["additionalPrinterColumns"]:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        yield f"| {column['name']}{wide} | `{column['jsonPath']}` | {column['description']} |"
    yield ""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(yaml.safe_load(CRD.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
