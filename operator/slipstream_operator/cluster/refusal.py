"""The status of an AgentDeployment that the API server accepted and we cannot act on: conditions, never a crash."""

from typing import Any

from slipstream_operator.api import conditions as c
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile.desired import Event

Document = dict[str, Any]

REASON = "InvalidSpec"


def refusal_status(live: Document, problem: str, timestamp: str) -> Document:
    """Return the status that tells the problem; what was said of what serves stays."""
    before = live.get("status", {})
    told = {kind: Condition(kind, "False", REASON, problem) for kind in (c.READY, c.ARTIFACT_BUILT)}
    kept = {found["type"]: _condition(found) for found in before.get("conditions", [])}
    unknown = {kind: Condition(kind, "Unknown", "NotBuilt", "nothing has been built yet") for kind in c.ALL_TYPES}
    found = [{**unknown, **kept, **told}[kind] for kind in c.ALL_TYPES]
    generation = live["metadata"]["generation"]
    conditions = c.merge(before.get("conditions", []), found, generation, timestamp)
    return {**before, "observedGeneration": generation, "conditions": conditions}


def was_accepted(live: Document) -> bool:
    """Return whether the status says that this very generation was judged before, and not refused."""
    status = live.get("status", {})
    refused = any(found["type"] == c.READY and found["reason"] == REASON for found in status.get("conditions", []))
    return status.get("observedGeneration") == live["metadata"]["generation"] and not refused


def refusal_event(problem: str) -> Event:
    """Return the event that tells the problem."""
    return Event("Warning", REASON, problem)


def _condition(document: Document) -> Condition:
    return Condition(document["type"], document["status"], document["reason"], document["message"])
