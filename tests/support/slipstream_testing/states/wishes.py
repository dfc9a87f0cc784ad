"""What users ask for: a few values of each part of a spec, and the manifests that they make."""

import copy
import functools
import json
from dataclasses import dataclass, replace
from typing import Any

from slipstream_operator.api import spec as api_spec
from slipstream_operator.api.schema import validate
from slipstream_operator.api.spec import AgentSpec
from slipstream_testing.manifests import SHA256, agent_deployment

MODELS: tuple[dict[str, Any], ...] = (
    {"uri": "pvc://models/recommender.onnx", "sha256": SHA256},
    {"uri": "pvc://models/recommender.onnx", "sha256": "f" * 64},
    {"uri": "https://models.example/agent.onnx"},
    {"uri": "file:///home/me/model.onnx"},
)
"""The last is one that no pod can read."""

COMPRESSIONS: tuple[dict[str, Any], ...] = (
    {"mode": "Auto"},
    {"mode": "Off"},
    {"mode": "Manual", "techniques": ["Optimize", "QuantizeDynamic"]},
)
SCALINGS: tuple[dict[str, Any], ...] = (
    {"mode": "Objective", "minReplicas": 1, "maxReplicas": 3},
    {"mode": "Objective", "minReplicas": 2, "maxReplicas": 2},
    {"mode": "Objective", "minReplicas": 3, "maxReplicas": 6},
    {"mode": "Manual", "replicas": 2},
    {"mode": "Manual", "replicas": 0},
    {"mode": "External"},
)
SERVINGS: tuple[dict[str, Any], ...] = (
    {},
    {"authentication": {"mode": "Keys", "secretRef": {"name": "callers"}}},
    {"authentication": {"mode": "TokenReview"}, "cache": {"mode": "Off"}},
    {"resources": {"cpu": "2", "memory": "2Gi"}},
    {"variant": "optimized"},
    {"variant": "no-such-variant", "overload": "Keep"},
)
"""Two processors are another recipe, because latency is measured with them."""

ROLLOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"onFailedGate": "Serve", "minAvailable": 0},
    {"progressDeadlineSeconds": 60},
)


@dataclass(frozen=True)
class Wish:
    """One spec: an index into each of the tables above, and the revision to go back to."""

    model: int = 0
    compression: int = 0
    scaling: int = 0
    serving: int = 0
    rollout: int = 0
    revision: str | None = None

    def put(self, part: str, value: Any) -> "Wish":
        """Return the wish with another value of one part."""
        return replace(self, **{part: value})

    def spec(self) -> dict[str, Any]:
        """Return the spec of a manifest."""
        pinned = {"revision": self.revision} if self.revision is not None else {}
        return copy.deepcopy(
            {
                "model": MODELS[self.model],
                "compression": COMPRESSIONS[self.compression],
                "scaling": SCALINGS[self.scaling],
                "serving": SERVINGS[self.serving],
                "rollout": {**ROLLOUTS[self.rollout], **pinned},
            }
        )


TABLES = {
    "model": MODELS,
    "compression": COMPRESSIONS,
    "scaling": SCALINGS,
    "serving": SERVINGS,
    "rollout": ROLLOUTS,
}


def admitted(name: str, wish: Wish) -> dict[str, Any]:
    """Return the manifest as the API server admits it, with all defaults."""
    return validated(agent_deployment(name, **wish.spec()))


def validated(document: dict[str, Any], *, accepted: bool = False) -> dict[str, Any]:
    """Return what `schema.validate` does, which takes 50 ms, from memory where it judged the same spec before.

    An `accepted` document is one whose rules held before, so that they hold again.
    """
    found = _validated(json.dumps([document["metadata"]["name"], document["spec"]]))
    return {**document, "spec": copy.deepcopy(found)}


def parsed(live: dict[str, Any]) -> AgentSpec:
    """Return the spec of an admitted manifest."""
    return api_spec.parse(live)


@functools.cache
def _validated(text: str) -> Any:
    name, spec = json.loads(text)
    return validate({**agent_deployment(name), "spec": spec})["spec"]
