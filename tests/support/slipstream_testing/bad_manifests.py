"""Wrong manifests and what must be said of them, by `slipstream up` and by the API server alike."""

from dataclasses import dataclass
from typing import Any

from slipstream_testing.manifests import SHA256, agent_deployment

ABSENT = object()
"""As a value: the field is taken away."""


@dataclass(frozen=True)
class BadManifest:
    """A sentence, the field that is set wrong (dots between names), its value, and words that the refusal holds.

    `bound` is another word it must hold: the limit that was passed, or what may be written instead.
    """

    sentence: str
    field: str
    value: Any
    words: str
    bound: str = ""

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

    def unsaid(self, refusal: str) -> list[str]:
        """Return the words that the refusal should hold and does not."""
        said = refusal.replace('\\"', '"')
        return [word for word in (self.words, self.bound) if word not in said]


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
    BadManifest("a name in another script", "metadata.name", "агент", "metadata.name"),
    BadManifest("a name of pictures", "metadata.name", "rocket-🚀", "metadata.name"),
    BadManifest("a name that climbs", "metadata.name", "../../etc", "metadata.name"),
    BadManifest("a name in capitals", "metadata.name", "Recommender", "metadata.name"),
    BadManifest("an empty name", "metadata.name", "", "metadata.name"),
    BadManifest("a name that ends in a dash", "metadata.name", "agent-", "metadata.name"),
    BadManifest("a model as a bare word", "spec.model", "s3://models/m.onnx", "spec.model"),
    BadManifest("a URI over two lines", "spec.model.uri", "s3://models/\nm.onnx", "write the address on one line"),
    BadManifest("a URI with a space before it", "spec.model.uri", " s3://models/m.onnx", "without spaces around it"),
    BadManifest("a URI with a NUL", "spec.model.uri", "s3://models/m\0.onnx", "write the address on one line"),
    BadManifest("a scheme in capitals", "spec.model.uri", "S3://models/m.onnx", "one of the schemes"),
    BadManifest("a scheme and nothing", "spec.model.uri", "s3:", "one of the schemes"),
    BadManifest("a bucket without a key", "spec.model.uri", "s3://models", "write s3://BUCKET/KEY"),
    BadManifest("a bucket of no name", "spec.model.uri", "s3:///m.onnx", "write s3://BUCKET/KEY"),
    BadManifest("one slash too few", "spec.model.uri", "s3:/models/m.onnx", "write s3://BUCKET/KEY"),
    BadManifest("a bucket with a port", "spec.model.uri", "s3://minio:9000/m.onnx", "endpoints go into the Secret"),
    BadManifest("a key in a bucket's address", "spec.model.uri", "gs://KEY@models/m.onnx", "go into the Secret"),
    BadManifest("a claim without a path", "spec.model.uri", "pvc://models", "write pvc://CLAIM/PATH"),
    BadManifest("a claim's folder", "spec.model.uri", "pvc://models/", "write pvc://CLAIM/PATH"),
    BadManifest("a claim in capitals", "spec.model.uri", "pvc://Models/m.onnx", "write pvc://CLAIM/PATH"),
    BadManifest("a path out of its claim", "spec.model.uri", "pvc://models/../../etc/shadow", "without '..'"),
    BadManifest("a repository without a file", "spec.model.uri", "hf://org/repo", "write hf://ORG/REPO/PATH"),
    BadManifest("a revision of no name", "spec.model.uri", "hf://org/repo@/m.onnx", "write hf://ORG/REPO/PATH"),
    BadManifest("a host without a path", "spec.model.uri", "https://models.example", "write https://HOST/PATH"),
    BadManifest("a host of no name", "spec.model.uri", "https:///m.onnx", "write https://HOST/PATH"),
    BadManifest("a port that is a word", "spec.model.uri", "http://models:http/m.onnx", "write https://HOST/PATH"),
    BadManifest("a port of six digits", "spec.model.uri", "http://models:800000/m.onnx", "write https://HOST/PATH"),
    BadManifest("a pickled data set", "spec.validation.dataset.uri", "s3://b/valid.pkl", "save data as .npz"),
    BadManifest(
        "a data set to calibrate with from nowhere",
        "spec.compression.dataset",
        {"uri": "ftp://host/calibration.npz"},
        "spec.compression.dataset.uri",
    ),
    BadManifest("a digest with its prefix", "spec.model.sha256", f"sha256:{SHA256}", "and nothing before them"),
    BadManifest("a digest that is no hex", "spec.model.sha256", "g" * 64, "64 lower-case hex digits"),
    BadManifest("an empty digest", "spec.validation.dataset.sha256", "", "64 lower-case hex digits"),
    BadManifest("a secret whose name ends in a dot", "spec.model.secretRef", {"name": "s3."}, "the name of a Secret"),
    BadManifest("a secret by a path", "spec.model.secretRef", {"name": "../token"}, "the name of a Secret"),
    BadManifest("a mode that YAML takes for false", "spec.compression.mode", False, "spec.compression.mode"),
    BadManifest("a size that YAML takes for a number", "spec.storage.size", 5, "spec.storage.size"),
    BadManifest("memory that overflows", "spec.serving.resources.memory", "9" * 16, "from 10Mi to 9999Gi"),
    BadManifest("memory beyond any machine", "spec.serving.resources.memory", "99999Gi", "from 10Mi to 9999Gi"),
    BadManifest("memory for nothing", "spec.serving.resources.memory", "64", "from 10Mi to 9999Gi"),
    BadManifest("negative memory", "spec.serving.resources.memory", "-1Gi", 'write bytes such as "1Gi"'),
    BadManifest("memory in exponents", "spec.serving.resources.memory", "1e9", 'write bytes such as "1Gi"'),
    BadManifest("a share of no processor", "spec.serving.resources.cpu", "0.000", 'write processors such as "2"'),
    BadManifest("more processors than there are", "spec.serving.resources.cpu", "99999", "write processors such as"),
    BadManifest("a volume that overflows", "spec.storage.size", "9999Ti", "from 10Mi to 999Ti"),
    BadManifest("a volume for nothing", "spec.storage.size", "1Mi", "from 10Mi to 999Ti"),
    BadManifest("a cache that overflows", "spec.serving.cache.maxBytes", "9" * 16, "from 10Ki to 9999Gi"),
    BadManifest(
        "a cache as large as the replica",
        "spec.serving",
        {"cache": {"maxBytes": "1Gi"}, "resources": {"memory": "1Gi"}},
        "serving.cache.maxBytes does not fit into serving.resources.memory",
    ),
    BadManifest(
        "a wait that alone misses the objective",
        "spec.serving.batching.maxDelayMilliseconds",
        50,
        "write less than objective.latencyMilliseconds",
    ),
    BadManifest(
        "an accelerator that is none", "spec.serving.accelerator", {"resource": "kubernetes.io/gpu"}, "the vendor's"
    ),
    BadManifest("a class of no name", "spec.storage.storageClassName", "Fast SSD", "the name of a StorageClass"),
    BadManifest("a drop of everything", "spec.validation.maxDrop", "100%", "write a percentage below 100"),
    BadManifest("a negative drop", "spec.validation.maxDrop", "-1%", "write a percentage below 100"),
    BadManifest("a certain confidence", "spec.validation.confidence", "100%", 'from "50%" to below "100%"'),
    BadManifest("a depth of zero", "spec.validation.metric", "ndcg@0", "with a number for K"),
    BadManifest(
        "a policy of another kind",
        "spec.scaling.behavior.scaleUp.policies",
        [{**POLICY, "type": "Replicas"}],
        "spec.scaling.behavior.scaleUp.policies[0].type",
    ),
    BadManifest(
        "policies that are none", "spec.scaling.behavior.scaleUp.policies", [], "spec.scaling.behavior.scaleUp.policies"
    ),
    BadManifest(
        "a pruning of everything",
        "spec.compression",
        {"mode": "Manual", "techniques": ["PruneChannels100"]},
        "with N percent",
    ),
)
