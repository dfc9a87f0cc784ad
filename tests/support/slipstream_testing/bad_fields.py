"""Wrong manifests made from the schema: each field with the wrong type, beyond its bounds, unknown, or too long."""

from collections.abc import Iterator
from typing import Any

from slipstream_testing.bad_manifests import BadManifest

Schema = dict[str, Any]

SAMPLES = {"techniques": "Optimize", "policies": {"type": "Pods", "value": 1, "periodSeconds": 15}}
"""A good item of each list."""

WRONG = {"string": 7, "integer": "many", "object": "all of it", "array": "one"}
"""A value of another type."""


def bad_fields(schema: Schema) -> tuple[BadManifest, ...]:
    """Return what can be wrong with each field below `spec` of the CRD's `schema`."""
    return tuple(_of_field("spec", schema["properties"]["spec"]))


def _of_field(path: str, field: Schema) -> Iterator[BadManifest]:
    yield BadManifest(f"{path} of another type", path, WRONG[field["type"]], path, field["type"])
    yield from _beyond(path, path, field, lambda value: value)
    for name, child in field.get("properties", {}).items():
        yield from _of_field(f"{path}.{name}", child)
    if "items" in field:
        yield from _of_items(path, field["items"])


def _of_items(path: str, item: Schema) -> Iterator[BadManifest]:
    good = SAMPLES[path.rpartition(".")[2]]
    at = f"{path}[0]"
    yield BadManifest(f"{at} of another type", path, [WRONG[item["type"]]], at, item["type"])
    yield from _beyond(path, at, item, lambda value: [value])
    for name, child in item.get("properties", {}).items():
        inner = f"{at}.{name}"
        yield BadManifest(
            f"{inner} of another type", path, [{**good, name: WRONG[child["type"]]}], inner, child["type"]
        )
        yield from _beyond(path, inner, child, lambda value, name=name: [{**good, name: value}])


def _beyond(field: str, at: str, schema: Schema, put: Any) -> Iterator[BadManifest]:
    """Set `field` to what `put` makes of values beyond the bounds of `schema`, which lies at the path `at`."""
    if "minimum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        yield BadManifest(f"{at} too small", field, put(low - 1), at, str(low))
        yield BadManifest(f"{at} too large", field, put(high + 1), at, str(high))
        yield BadManifest(f"{at} with a fraction", field, put(low + 0.5), at, "integer")
        yield BadManifest(f"{at} beyond 64 bits", field, put(10**20), at)
    if "enum" in schema:
        yield BadManifest(f"{at} of no such word", field, put("Neither"), at, schema["enum"][0])
    if "maxLength" in schema:
        yield BadManifest(f"{at} too long", field, put("a" * (schema["maxLength"] + 1)), at, str(schema["maxLength"]))
    if schema.get("minLength"):
        yield BadManifest(f"{at} empty", field, put(""), at)
    if "maxItems" in schema:
        good = SAMPLES[field.rpartition(".")[2]]
        yield BadManifest(f"{at} too many", field, [good] * (schema["maxItems"] + 1), at, str(schema["maxItems"]))
    if "properties" in schema and at == field:
        yield BadManifest(f"{at} with an unknown field", f"{field}.surprise", 1, f"{at}.surprise", "unknown field")
