"""What of a plan is news: the events to post."""

from slipstream_operator.api import conditions
from slipstream_operator.api.conditions import Condition
from slipstream_operator.reconcile.desired import Event
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.verdict import Verdict

_PASSING = frozenset({"Pending", "NoReplicas", "Starting"})
"""Reasons of a False condition that belong to every start and are no news."""

_UNDER_WAY = frozenset({"Building", "RollingOut", "Swapping"})
"""Reasons of a False condition that warn of nothing."""


def news(observation: Observation, verdict: Verdict, found: tuple[Condition, ...]) -> tuple[Event, ...]:
    """Return the events of a plan that found these conditions."""
    return (
        *_of_conditions(observation, found),
        *_of_scaling(observation, verdict),
        *_of_variants(observation, verdict),
    )


def _of_conditions(observation: Observation, found: tuple[Condition, ...]) -> tuple[Event, ...]:
    """Return an event for each condition whose status or reason changed; `Ready` only repeats the others."""
    before = {c["type"]: (c["status"], c["reason"]) for c in observation.status.get("conditions", [])}
    changed = [c for c in found if c.type != conditions.READY and before.get(c.type) != (c.status, c.reason)]
    return tuple(
        Event("Warning" if c.status == "False" and c.reason not in _UNDER_WAY else "Normal", c.reason, c.message)
        for c in changed
        if c.status != "Unknown" and c.reason not in _PASSING
    )


def _of_scaling(observation: Observation, verdict: Verdict) -> tuple[Event, ...]:
    before = observation.served.replicas if observation.served else None
    if verdict.decision is None or before is None or verdict.decision.replicas == before:
        return ()
    return (Event("Normal", "Scaled", verdict.decision.reason),)


def _of_variants(observation: Observation, verdict: Verdict) -> tuple[Event, ...]:
    """Return the news of another variant of the artifact that serves already."""
    served, choice = observation.served, verdict.choice
    if served is None or choice is None or not served.variant or served.variant == choice.name:
        return ()
    if verdict.target.summary is None or served.summary.artifact_digest != verdict.target.summary.artifact_digest:
        return ()
    words = choice.reason or f"{choice.name} answers again, in place of {served.variant}"
    return (Event("Warning" if choice.reason else "Normal", "VariantSwitched", words),)
