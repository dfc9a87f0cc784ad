"""Wrong manifests and what must be said of them, by `slipstream up` and by the API server alike."""

from dataclasses import dataclass
from typing import Any

from slipstream_testing.manifests import agent_deployment

ABSENT = object()
"""As a value: the field is taken away."""


@dataclass(frozen=True)
class BadManifest:
    """A sentence, the field that is set wrong (dots between names), its value, and words that the refusal holds."""

    sentence: str
    field: str
    value: Any
    words: str

    def document(self, name: str = "wrong") -> dict[str, Any]:
        """Return the test manifest with this one thing wrong."""
        document = agent_deployment(name)
        *parents, last = self.field.split(".")
        inner = document
        for parent in parents:
            inner = inner.setdefault(parent, {})
        if self.value is ABSENT:
            del inner[last]
        else:
            inner[last] = self.value
        return document


POLICY = {"type": "Pods", "value": 1, "periodSeconds": 15}

BAD_MANIFESTS = (
    BadManifest("no model", "spec.model", ABSENT, "spec.model"),
    BadManifest("no spec", "spec", ABSENT, "spec"),
    BadManifest("a model without a URI", "spec.model.uri", ABSENT, "spec.model.uri"),
    BadManifest("an empty URI", "spec.model.uri", "", "spec.model.uri"),
    BadManifest("a scheme we do not fetch", "spec.model.uri", "ftp://host/m.onnx", "one of the schemes file:, pvc:"),
    BadManifest("a pickled checkpoint", "spec.model.uri", "s3://b/m.pt", "export the model with torch.onnx.export"),
    BadManifest("a digest that is too short", "spec.model.sha256", "abc", "64 lower-case hex digits"),
    BadManifest("a digest in capitals", "spec.model.sha256", "A" * 64, "64 lower-case hex digits"),
    BadManifest("a misspelt field", "spec.objectives", {"percentile": 99}, "spec.objectives"),
    BadManifest("a misspelt inner field", "spec.scaling.minReplica", 1, "spec.scaling.minReplica"),
    BadManifest("a number in quotes", "spec.scaling.minReplicas", "2", "spec.scaling.minReplicas"),
    BadManifest("a list for an object", "spec.serving", ["fast"], "spec.serving"),
    BadManifest("a metric that does not exist", "spec.validation.metric", "bleu", "write one of accuracy"),
    BadManifest("a ranking metric without its depth", "spec.validation.metric", "ndcg", "with a number for K"),
    BadManifest("a validation without a metric", "spec.validation.metric", ABSENT, "spec.validation.metric"),
    BadManifest("a validation of nothing", "spec.validation.dataset", ABSENT, "give one of dataset and environment"),
    BadManifest(
        "a dataset and an environment",
        "spec.validation.environment",
        {"id": "CartPole-v1"},
        "give one of dataset and environment",
    ),
    BadManifest("a return without an environment", "spec.validation.metric", "return", "return goes with environment"),
    BadManifest(
        "an accuracy in an environment",
        "spec.validation",
        {"environment": {"id": "CartPole-v1"}, "metric": "accuracy"},
        "return goes with environment",
    ),
    BadManifest(
        "a single episode",
        "spec.validation",
        {"environment": {"id": "CartPole-v1", "episodes": 1}, "metric": "return"},
        "spec.validation.environment.episodes",
    ),
    BadManifest(
        "an environment with a shell's words",
        "spec.validation",
        {"environment": {"id": "CartPole-v1; ls"}, "metric": "return"},
        "write an environment's id",
    ),
    BadManifest(
        "slices of an environment",
        "spec.validation",
        {"environment": {"id": "CartPole-v1"}, "metric": "return", "maxSliceDrop": "5%"},
        "maxSliceDrop needs a dataset",
    ),
    BadManifest("a slice's drop without a percent sign", "spec.validation.maxSliceDrop", "5", "such as"),
    BadManifest("a secret of no name", "spec.model.secretRef", {"name": "Not A Secret"}, "write the name of a Secret"),
    BadManifest("a drop without a percent sign", "spec.validation.maxDrop", "0.01", "write a percentage below 100"),
    BadManifest("a confidence of a coin toss", "spec.validation.confidence", "40%", 'from "50%" to below "100%"'),
    BadManifest("a latency of zero", "spec.objective.latencyMilliseconds", 0, "spec.objective.latencyMilliseconds"),
    BadManifest("a percentile of 100", "spec.objective.percentile", 100, "spec.objective.percentile"),
    BadManifest("a fractional percentile", "spec.objective.percentile", 99.9, "spec.objective.percentile"),
    BadManifest("a mode that does not exist", "spec.compression.mode", "Fast", "spec.compression.mode"),
    BadManifest("manual compression of nothing", "spec.compression.mode", "Manual", "mode Manual needs techniques"),
    BadManifest(
        "techniques that nothing uses",
        "spec.compression.techniques",
        ["Optimize"],
        "techniques are used in mode Manual",
    ),
    BadManifest(
        "a technique that does not exist",
        "spec.compression",
        {"mode": "Manual", "techniques": ["Magic"]},
        "spec.compression.techniques[0]",
    ),
    BadManifest("a budget of a second", "spec.compression.budgetSeconds", 1, "spec.compression.budgetSeconds"),
    BadManifest(
        "fewer replicas at most than at least",
        "spec.scaling",
        {"minReplicas": 5, "maxReplicas": 2},
        "raise maxReplicas or lower minReplicas",
    ),
    BadManifest("no replicas at least", "spec.scaling.minReplicas", 0, "spec.scaling.minReplicas"),
    BadManifest("replicas where the objective decides", "spec.scaling.replicas", 3, "set minReplicas and maxReplicas"),
    BadManifest("manual scaling to no number", "spec.scaling.mode", "Manual", "mode Manual needs replicas"),
    BadManifest(
        "a policy without a period",
        "spec.scaling.behavior.scaleDown.policies",
        [{"type": "Pods", "value": 1}],
        "spec.scaling.behavior.scaleDown.policies[0].periodSeconds",
    ),
    BadManifest(
        "more policies than anyone needs",
        "spec.scaling.behavior.scaleUp.policies",
        [POLICY] * 9,
        "spec.scaling.behavior.scaleUp.policies",
    ),
    BadManifest("a cache of no size", "spec.serving.cache.maxBytes", "lots", "write a number of bytes"),
    BadManifest("a shared cache nowhere", "spec.serving.cache.mode", "Redis", "mode Redis, and no other, needs"),
    BadManifest(
        "an address for a cache of one's own",
        "spec.serving.cache.secretRef",
        {"name": "redis"},
        "mode Redis, and no other",
    ),
    BadManifest("callers nobody reviews", "spec.serving.authentication.mode", "Basic", "spec.serving.authentication"),
    BadManifest(
        "keys that nobody asks for",
        "spec.serving.authentication",
        {"mode": "None", "secretRef": {"name": "keys"}},
        "secretRef is used in mode Keys only",
    ),
    BadManifest(
        "an accelerator without a vendor", "spec.serving.accelerator", {"resource": "gpu"}, "write DOMAIN/NAME"
    ),
    BadManifest("an accelerator of none", "spec.serving.accelerator.count", 0, "spec.serving.accelerator.count"),
    BadManifest(
        "an accelerator's stranger", "spec.serving.accelerator.provider", "OpenCL", "spec.serving.accelerator.provider"
    ),
    BadManifest("memory in decimal units", "spec.serving.resources.memory", "2GB", 'write bytes such as "1Gi"'),
    BadManifest("no processors", "spec.serving.resources.cpu", "-1", 'write processors such as "2"'),
    BadManifest("processors as a number", "spec.serving.resources.cpu", 2, "spec.serving.resources.cpu"),
    BadManifest("a batch of none", "spec.serving.batching.maxSize", 0, "spec.serving.batching.maxSize"),
    BadManifest("a volume that cannot be shared so", "spec.storage.accessMode", "Any", "spec.storage.accessMode"),
    BadManifest("a volume without a unit we know", "spec.storage.size", "5GB", 'write bytes such as "5Gi"'),
    BadManifest("a name that cannot name a Service", "metadata.name", "my.agent", "at most 52 lower-case letters"),
    BadManifest("a name that is too long", "metadata.name", "a" * 53, "at most 52 lower-case letters"),
    BadManifest("a name that begins with a digit", "metadata.name", "7agent", "starting with a letter"),
)
