"""For each CEL rule of the CRD, found by its message: a value that it takes, one that it refuses, and where to try."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipstream_testing.manifests import SHA256, agent_deployment

Schema = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """Values of the field that the rule belongs to; with `before`, the object is changed from that to them."""

    right: Any
    wrong: Any
    before: Any = None


@dataclass(frozen=True)
class Place:
    """A rule at a field: dots between names, `[]` for the items of a list, nothing for the whole document."""

    field: str
    message: str

    def __str__(self) -> str:
        """Return a title."""
        return f"{self.field or 'document'}: {self.message[:60]}"

    def document(self, value: Any) -> dict[str, Any]:
        """Return a manifest that is right but for `value` at the field."""
        around = next((spec for field, spec in SURROUNDINGS.items() if self.field.startswith(field)), {})
        document = agent_deployment("ruled", **around)
        parent, _, last = self.field.removesuffix("[]").rpartition(".")
        inner: dict[str, Any] = document
        for name in parent.split(".") if parent else ():
            inner = inner.setdefault(name, {})
        if self.field in ("", "spec"):
            _add(inner[last] if last else inner, value)
        else:
            inner[last] = [value] if self.field.endswith("[]") else value
        return document


SURROUNDINGS: dict[str, dict[str, Any]] = {
    "spec.validation.environment": {"validation": {"environment": {"id": "CartPole-v1"}, "metric": "return"}},
    "spec.compression.techniques": {"compression": {"mode": "Manual"}},
    "spec.compression.dataset": {"compression": {"dataset": {"uri": "s3://data/calibration.npz"}}},
    "spec.serving.cache.secretRef": {"serving": {"cache": {"mode": "Redis"}}},
}
"""What the spec must be for a field to be right."""


def places(schema: Schema, field: str = "") -> Iterator[Place]:
    """Return every rule of `schema`, which lies at `field`, and of all within it."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield Place(field, rule["message"])
    for name, child in schema.get("properties", {}).items():
        yield from places(child, f"{field}.{name}" if field else name)
    if "items" in schema:
        yield from places(schema["items"], f"{field}[]")


def example(message: str) -> Example:
    """Return the example of the rule whose message begins as one of `EXAMPLES` does."""
    (found,) = [example for beginning, example in EXAMPLES.items() if message.startswith(beginning)]
    return found


def _add(target: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        target[name] = {**target.get(name, {}), **value}


SECRET = {"name": "keys"}

EXAMPLES = {
    "metadata.name names a Service": Example({"metadata": {"name": "a" * 52}}, {"metadata": {"name": "7a"}}),
    "serving.batching.maxDelayMilliseconds alone": Example(
        {"serving": {"batching": {"maxDelayMilliseconds": 49}}}, {"serving": {"batching": {"maxDelayMilliseconds": 50}}}
    ),
    "serving.cache.maxBytes does not fit": Example(
        {"serving": {"cache": {"maxBytes": "1023Mi"}}}, {"serving": {"cache": {"maxBytes": "1024Mi"}}}
    ),
    "write a URI with one of the schemes": Example("gs://models/m.onnx", "ftp://models/m.onnx"),
    "write the address on one line": Example("s3://models/my m.onnx", "s3://models/m.onnx "),
    "pickled files can run code": Example("s3://models/m.pt2", "s3://models/m.pth"),
    "write pvc://CLAIM/PATH: a Persistent": Example("pvc://models/v1/m.onnx", "pvc:/models/m.onnx"),
    "write pvc://CLAIM/PATH or hf://ORG/REPO/PATH without": Example("hf://org/repo/a..b", "pvc://models/a/../b"),
    "write s3://BUCKET/KEY": Example("s3://models/v1/m.onnx", "s3://models/"),
    "write hf://ORG/REPO/PATH": Example("hf://org/repo@v1%2Fx/m.onnx", "hf://org/m.onnx"),
    "write https://HOST/PATH": Example("https://user:word@[::1]:8443/m.onnx?version=1", "http://models:0/m.onnx"),
    "write the 64 lower-case hex digits": Example(SHA256, f"sha256:{SHA256}"),
    "write the name of a Secret": Example("s3.read", "s3..read"),
    "give one of dataset and environment": Example(
        {"metric": "accuracy", "dataset": {"uri": "s3://d/v.npz"}}, {"metric": "accuracy"}
    ),
    "metric return goes with environment": Example(
        {"metric": "return", "environment": {"id": "CartPole-v1"}}, {"metric": "f1", "environment": {"id": "A-v1"}}
    ),
    "maxSliceDrop needs a dataset": Example(
        {"metric": "f1", "dataset": {"uri": "s3://d/v.npz"}, "maxSliceDrop": "5%"},
        {"metric": "return", "environment": {"id": "CartPole-v1"}, "maxSliceDrop": "5%"},
    ),
    "write an environment's id": Example("ale_py:ALE/Pong-v5", "CartPole v1"),
    "write one of accuracy": Example("hit-rate@10", "ndcg"),
    'write a percentage below 100 such as "1%"': Example("0.5%", "100%"),
    'write a percentage below 100 such as "5%"': Example("12.25%", "5"),
    'write a percentage from "50%"': Example("99.9%", "49%"),
    "mode Manual needs techniques": Example({"mode": "Manual", "techniques": ["Optimize"]}, {"mode": "Manual"}),
    "techniques are used in mode Manual only": Example({"mode": "Auto"}, {"mode": "Auto", "techniques": ["Optimize"]}),
    "write one of Optimize": Example("PruneChannels50", "PruneChannels0"),
    "mode Redis, and no other": Example(
        {"mode": "Redis", "secretRef": SECRET}, {"mode": "Memory", "secretRef": SECRET}
    ),
    "write a number of bytes": Example("64Mi", "9Ki"),
    "secretRef is used in mode Keys only": Example(
        {"mode": "Keys", "secretRef": SECRET}, {"mode": "TokenReview", "secretRef": SECRET}
    ),
    "write DOMAIN/NAME": Example("amd.com/gpu", "gpu"),
    "kubernetes.io/ names no extended": Example("kubernetes.example/gpu", "node.kubernetes.io/gpu"),
    "write processors": Example("0.5", "2 cores"),
    'write bytes such as "1Gi"': Example("512Mi", "512MB"),
    "minReplicas is greater": Example({"minReplicas": 2, "maxReplicas": 2}, {"minReplicas": 3, "maxReplicas": 2}),
    "replicas is used in the modes": Example(
        right={"mode": "Objective", "replicas": 5},
        wrong={"mode": "Objective", "replicas": 6},
        before={"mode": "External", "replicas": 5},
    ),
    "mode Manual needs replicas": Example({"mode": "Manual", "replicas": 0}, {"mode": "Manual"}),
    "write the 12 hex digits": Example("0123456789ab", "v1"),
    'write bytes such as "5Gi"': Example("1Ti", "5GB"),
    "write the name of a StorageClass": Example("fast.example", "Fast"),
}
"""One for each rule; a test finds those that lack theirs."""
