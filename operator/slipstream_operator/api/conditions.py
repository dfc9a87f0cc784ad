"""Condition types and reasons: constants beside the API, and the merge that keeps transition times."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

READY = "Ready"
ARTIFACT_BUILT = "ArtifactBuilt"
ACCURACY_GATE_PASSED = "AccuracyGatePassed"
AVAILABLE = "Available"
OBJECTIVE_MET = "ObjectiveMet"
METRICS_AVAILABLE = "MetricsAvailable"
ROLLED_OUT = "RolledOut"

APPLY_FAILED = "ApplyFailed"
"""Reason of Ready: the API server refused a part of what should be."""

ALL_TYPES = (READY, ARTIFACT_BUILT, ACCURACY_GATE_PASSED, AVAILABLE, ROLLED_OUT, OBJECTIVE_MET, METRICS_AVAILABLE)

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Condition:
    """One condition, as `status.conditions` holds it, without its transition time."""

    type: str
    status: Status
    reason: str
    message: str


def merge(
    previous: Iterable[dict[str, Any]], current: Iterable[Condition], generation: int, now: str
) -> list[dict[str, Any]]:
    """Return `current` in the API's form; a condition whose status did not change keeps its transition time."""
    before = {condition["type"]: condition for condition in previous}
    return [_merged(before.get(condition.type), condition, generation, now) for condition in current]


def _merged(before: dict[str, Any] | None, condition: Condition, generation: int, now: str) -> dict[str, Any]:
    unchanged = before is not None and before["status"] == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if before and unchanged else now,
    }
