"""Builders of what a world reports, for tests of the plan."""

from typing import Any

from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.summary import BuildSummary, MetricSummary, VariantSummary
from slipstream_operator.api import schema, spec
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile.observation import Build, Observation, ReplicaState, Served
from slipstream_operator.scaling.samples import ReplicaSample
from slipstream_testing.manifests import agent_deployment

EDGES = (0.001, 0.005, 0.01, 0.05, 0.1, float("inf"))


def make_spec(**changes: Any) -> AgentSpec:
    """Return the parsed spec of the test manifest with `changes` to its spec."""
    return spec.parse(schema.validate(agent_deployment(**changes)))


def make_summary(artifact: str = "a" * 64, **changes: Any) -> BuildSummary:
    """Return a successful build's summary: 1 ms for a batch of one, 0.1 ms for each further row."""
    curve = LatencyCurve(0.0009, 0.0001, 0.02, ((1, 0.001), (32, 0.0041)))
    slower = LatencyCurve(0.003, 0.0005, 0.02, ((1, 0.0035), (32, 0.019)))
    fields: dict[str, Any] = {
        "reason": "Succeeded",
        "message": "pruned50-int8 chosen out of 5 candidates",
        "recipe_digest": make_spec().recipe.digest,
        "artifact_digest": artifact,
        "source_sha256": "5" * 64,
        "chosen": "pruned50-int8",
        "baseline": "optimized",
        "variants": (VariantSummary("optimized", 8000, slower), VariantSummary("pruned50-int8", 1000, curve)),
        "metric": MetricSummary("ndcg@10", 0.221, 0.2204, 0.21, 0.23, 0.0027, 0.0081),
        "compression_ratio": 0.125,
        "speedup": 4.6,
        "bottleneck": "Compute",
        "candidates_tried": 5,
        "candidates_passed": 3,
    }
    return BuildSummary(**{**fields, **changes})


def built(**changes: Any) -> Build:
    """Return a successful build."""
    summary = make_summary(**changes)
    return Build("Succeeded", summary.message, summary)


def replicas(ready: int, starting: int = 0, current: bool = True, problem: str = "") -> tuple[ReplicaState, ...]:
    """Return so many replicas, the ready ones first."""
    flags = [True] * ready + [False] * starting
    return tuple(ReplicaState(f"uid-{i}", flag, 0.0, current, problem) for i, flag in enumerate(flags))


def sample(uid: str, at: float, requests: float, slow: float = 0.0, **changes: Any) -> ReplicaSample:
    """Return a scrape after `requests` answers, the share `slow` of which took between 50 and 100 ms."""
    fast = requests * (1 - slow)
    fields: dict[str, Any] = {
        "requests": requests,
        "rows": requests,
        "computed_rows": requests,
        "batches": requests,
        "busy_seconds": requests * 0.0005,
        "latency_edges": EDGES,
        "latency_counts": (0.0, fast, fast, fast, requests, requests),
    }
    return ReplicaSample(uid, at, **{**fields, **changes})


def observe(**changes: Any) -> Observation:
    """Return an observation of the test manifest before anything was built."""
    fields: dict[str, Any] = {"spec": make_spec(), "generation": 3, "build": Build("Absent")}
    return Observation(**{**fields, **changes})


def serving(ready: int = 1, **changes: Any) -> Observation:
    """Return an observation of the test manifest served by `ready` ready replicas."""
    fields: dict[str, Any] = {
        "build": built(),
        "served": Served(make_summary(), ready),
        "replicas": replicas(ready),
    }
    return observe(**{**fields, **changes})
