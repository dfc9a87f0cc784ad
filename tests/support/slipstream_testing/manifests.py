"""AgentDeployment documents for tests: a good one, and ways to change it."""

import copy
from typing import Any

SHA256 = "0123456789abcdef" * 4


def agent_deployment(name: str = "recommender", **spec: Any) -> dict[str, Any]:
    """Return a small valid manifest with `spec` entries put over the defaults."""
    base: dict[str, Any] = {
        "apiVersion": "slipstream.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "model": {"uri": "pvc://models/recommender.onnx", "sha256": SHA256},
            "validation": {"dataset": {"uri": "pvc://models/valid.npz", "sha256": SHA256}, "metric": "ndcg@10"},
            "objective": {"percentile": 99, "latencyMilliseconds": 50},
        },
    }
    document = copy.deepcopy(base)
    document["spec"].update(copy.deepcopy(spec))
    return document
