"""The CRD's schema: every field is explained and bounded, and is just what the operator reads and writes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from slipstream_operator.api import schema, spec
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.observation import Build
from slipstream_operator.reconcile.plan import plan
from slipstream_operator.scaling.tuning import Tuning
from slipstream_testing.manifests import agent_deployment
from slipstream_testing.observations import make_spec, observe, sample, serving

CRD = schema.custom_resource_definition()
(VERSION,) = CRD["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
PARTS = {part: SCHEMA["properties"][part] for part in ("spec", "status")}


def fields(path: str, field: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the field at `path` and all within it; a list's items have its path and `[]`."""
    yield path, field
    for name, child in field.get("properties", {}).items():
        yield from fields(f"{path}.{name}", child)
    if "items" in field:
        yield from fields(f"{path}[]", field["items"])


EXCEPTIONS = {"status.artifact.variantReason": "written while another variant than the chosen one is asked for"}
"""Fields of the status that the states tried here do not have, and why."""

FIELDS = [found for part, root in PARTS.items() for found in fields(part, root)]


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=[path for path, _ in FIELDS])
def test_a_field_is_explained_and_bounded(path, field):
    bounds = {
        "string": {"maxLength"} if "enum" not in field else {"enum"},
        "integer": {"minimum", "maximum", "format"},
        "array": {"maxItems", "items", "x-kubernetes-list-type"},
        "object": {"properties"},
    }[field["type"]]

    assert len(field["description"]) >= len("Its name.")
    assert bounds <= field.keys()


def test_only_the_model_is_required():
    least = {**agent_deployment(), "spec": {"model": {"uri": "s3://models/m.onnx"}}}

    assert PARTS["spec"]["required"] == ["model"]
    assert spec.parse(schema.validate(least)).scaling.max_replicas == 10


def leaves(path: str, root: dict[str, Any]) -> set[str]:
    return {path for path, field in fields(path, root) if field["type"] not in ("object", "array")}


class Watched(Mapping[str, Any]):
    """A document that notes the path of everything that is read of it."""

    def __init__(self, document: dict[str, Any], path: str, read: set[str]) -> None:
        self._document, self._path, self._read = document, path, read

    def __getitem__(self, name: str) -> Any:
        path = f"{self._path}.{name}" if self._path else name
        self._read.add(path)
        return self._watched(self._document[name], path)

    def _watched(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return Watched(value, path, self._read)
        if isinstance(value, list):
            self._read.add(f"{path}[]")
            return [self._watched(item, f"{path}[]") for item in value]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)


SOURCE = {"uri": "s3://data/x.npz", "sha256": "0" * 64, "secretRef": {"name": "read"}}
POLICIES = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}
FULL = agent_deployment(
    model=SOURCE,
    validation={"metric": "f1", "dataset": SOURCE, "maxSliceDrop": "5%"},
    compression={"mode": "Manual", "techniques": ["Optimize"], "dataset": SOURCE},
    serving={
        "cache": {"mode": "Redis", "secretRef": {"name": "redis"}},
        "authentication": {"secretRef": {"name": "keys"}},
        "accelerator": {"resource": "nvidia.com/gpu"},
    },
    scaling={"mode": "Manual", "replicas": 2, "behavior": {"scaleUp": POLICIES, "scaleDown": POLICIES}},
)
EPISODES = agent_deployment(validation={"metric": "return", "environment": {"id": "CartPole-v1"}})


def test_every_field_of_the_spec_is_read_and_what_is_read_is_a_field():
    read: set[str] = set()
    for document in (FULL, EPISODES):
        spec.parse(Watched(schema.validate(document), "", read))

    known = {path for path, _ in fields("spec", PARTS["spec"])}
    assert leaves("spec", PARTS["spec"]) - read == set()
    assert {path for path in read if path.startswith("spec.")} - known == set()


def written(path: str, value: Any) -> Iterator[str]:
    yield path
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from written(f"{path}.{name}", inner)
    for inner in value if isinstance(value, list) else ():
        yield from written(f"{path}[]", inner)


def statuses() -> Iterator[dict[str, Any]]:
    """Return the statuses of a build that runs, and of replicas under load."""
    running = observe(build=Build("Running", "distilling", job="recommender-build-1"), endpoint="u", selector="s")
    yield plan(running, Memory(), Tuning(), 100.0, "2026-11-23T12:00:00Z").desired.status
    memory = Memory()
    for second in (0.0, 5.0, 10.0):
        busy = sample("uid-0", second, 100 * second, cache_hits=10 * second, cache_misses=90 * second)
        planned = plan(replace(serving(1), samples=(busy,)), memory, Tuning(), second, "2026-11-23T12:00:00Z")
        memory = planned.memory
    yield planned.desired.status


def test_every_field_of_the_status_is_written_and_what_is_written_is_a_field():
    found = {path for status in statuses() for path in written("status", status)}

    known = {path for path, _ in fields("status", PARTS["status"])}
    assert found - known == set()
    assert leaves("status", PARTS["status"]) - found == EXCEPTIONS.keys()


def test_the_scale_subresource_and_the_columns_show_fields_that_exist():
    known = {f".{path}" for path, _ in FIELDS}
    scale = VERSION["subresources"]["scale"]
    shown = [column["jsonPath"] for column in VERSION["additionalPrinterColumns"]]

    assert {scale[name] for name in scale} <= known
    assert {path for path in shown if "[?" not in path} - {".metadata.creationTimestamp"} <= known


def test_a_spec_at_every_bound_is_still_one_that_can_be_parsed():
    assert make_spec(scaling={"minReplicas": 1000, "maxReplicas": 1000}).scaling.min_replicas == 1000
