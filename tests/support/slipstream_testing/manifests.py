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


def tiny_agent(name: str, **spec: Any) -> dict[str, Any]:
    """Return a manifest for the classifier of microseconds that lies on the claim `models`; its build is short."""
    entries = {
        "model": {"uri": "pvc://models/tiny.onnx"},
        "compression": {"mode": "Off"},
        "serving": {"resources": {"cpu": "50m", "memory": "256Mi"}, "cache": {"mode": "Off"}},
        "scaling": {"mode": "Manual", "replicas": 1},
    }
    return {
        "apiVersion": "slipstream.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name},
        "spec": {**entries, **spec},
    }


def images_agent(name: str, **spec: Any) -> dict[str, Any]:
    """Return a manifest for the classifier of images that lies on the claim `models` with its data."""
    claim = "pvc://models"
    entries = {
        "model": {"uri": f"{claim}/model.onnx"},
        "validation": {"dataset": {"uri": f"{claim}/validation.npz"}, "metric": "accuracy", "maxDrop": "5%"},
        "compression": {"mode": "Auto", "dataset": {"uri": f"{claim}/inputs.npz"}, "budgetSeconds": 60},
        "objective": {"percentile": 99, "latencyMilliseconds": 250},
        # So few images would all be answered from a cache.
        "serving": {"resources": {"cpu": "100m", "memory": "256Mi"}, "cache": {"mode": "Off"}},
    }
    return {
        "apiVersion": "slipstream.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name},
        "spec": {**entries, **spec},
    }
