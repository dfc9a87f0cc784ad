"""The plan: from an observation and a memory to what should be, as one pure function that both worlds call.

The order of judgement: which artifact should serve, how many replicas of it, what to tell people, what is news.
"""

from dataclasses import dataclass, replace
from typing import Any

from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api import conditions
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile.desired import Desired, DesiredServing, Event
from slipstream_operator.reconcile.judge import judge
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.sizing import size
from slipstream_operator.reconcile.status import artifact_status, performance_status
from slipstream_operator.reconcile.traffic import Traffic, traffic_of
from slipstream_operator.scaling.model import Decision
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Plan:
    """What should be, the memory for the next plan, and the scaling decision behind it where there was one."""

    desired: Desired
    memory: Memory
    decision: Decision | None
    traffic: Traffic


def plan(observation: Observation, memory: Memory, tuning: Tuning, now: float, timestamp: str) -> Plan:
    """Return the plan for `observation` at the time `now` (seconds), which `timestamp` writes in RFC 3339."""
    memory = memory.after(observation, now)
    summary = artifact_to_serve(observation)
    decision = None
    if summary is not None:
        decision, scaling = size(observation, summary, memory, tuning, now)
        memory = replace(memory, scaling=scaling)
    wanted = decision.replicas if decision else 0
    traffic = traffic_of(memory.window, observation, tuning, now)
    found = judge(observation, wanted, traffic)
    desired = Desired(
        build=build_to_run(observation),
        serving=DesiredServing(summary, wanted) if summary is not None else None,
        status=_status(observation, found, summary, decision, traffic, timestamp),
        events=(*_condition_news(observation, found), *_scaling_news(observation, decision)),
    )
    return Plan(desired, memory, decision, traffic)


def artifact_to_serve(observation: Observation) -> BuildSummary | None:
    """Return the current spec's artifact once it is built, until then the one that serves already, if any."""
    if observation.build.phase == "Succeeded" and observation.build.summary is not None:
        return observation.build.summary
    return observation.served.summary if observation.served else None


def build_to_run(observation: Observation) -> Recipe | None:
    """Return the recipe whose build should run; an ended build is not begun again for the same recipe."""
    return observation.spec.recipe if observation.build.phase in ("Absent", "Running") else None


def _status(
    observation: Observation,
    found: tuple[Condition, ...],
    summary: BuildSummary | None,
    decision: Decision | None,
    traffic: Traffic,
    timestamp: str,
) -> dict[str, Any]:
    previous = observation.status.get("conditions", [])
    status: dict[str, Any] = {
        "observedGeneration": observation.generation,
        "replicas": len(observation.replicas),
        "readyReplicas": sum(replica.ready for replica in observation.replicas),
        "selector": observation.selector,
        "endpoint": observation.endpoint,
        "conditions": conditions.merge(previous, found, observation.generation, timestamp),
        "build": _build_status(observation),
        "performance": performance_status(observation, traffic),
    }
    if summary is not None:
        status["artifact"] = artifact_status(summary)
    if decision is not None:
        status["scaling"] = {"desiredReplicas": decision.replicas, "reason": decision.reason}
    return status


def _build_status(observation: Observation) -> dict[str, Any]:
    status = {"recipe": observation.spec.recipe.digest}
    if observation.build.job:
        status["job"] = observation.build.job
    if observation.build.phase == "Running":
        status["progress"] = observation.build.message
    return status


def _condition_news(observation: Observation, found: tuple[Condition, ...]) -> tuple[Event, ...]:
    """Return an event for each condition whose status or reason changed; `Ready` only repeats the others."""
    before = {c["type"]: (c["status"], c["reason"]) for c in observation.status.get("conditions", [])}
    news = [c for c in found if c.type != conditions.READY and before.get(c.type) != (c.status, c.reason)]
    return tuple(
        Event("Warning" if c.status == "False" and c.reason != "Building" else "Normal", c.reason, c.message)
        for c in news
        if c.status != "Unknown" and c.reason not in _PASSING
    )


_PASSING = frozenset({"Pending", "NoReplicas", "Starting"})
"""Reasons of a False condition that belong to every start and are no news."""


def _scaling_news(observation: Observation, decision: Decision | None) -> tuple[Event, ...]:
    before = observation.served.replicas if observation.served else None
    if decision is None or before is None or decision.replicas == before:
        return ()
    return (Event("Normal", "Scaled", decision.reason),)
