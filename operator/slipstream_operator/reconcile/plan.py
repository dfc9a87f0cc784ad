"""The plan: from an observation and a memory to what should be, as one pure function that both worlds call.

The order of judgement: which artifact should serve, how many replicas of it, with which variant, how they take over,
what to tell people, what is news.
"""

from dataclasses import dataclass, replace

from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary
from slipstream_operator.reconcile import revisions, rollout, variants
from slipstream_operator.reconcile.desired import Desired, DesiredServing
from slipstream_operator.reconcile.judge import judge
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.news import news
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.revisions import Revision
from slipstream_operator.reconcile.sizing import Past, size
from slipstream_operator.reconcile.status import status_of
from slipstream_operator.reconcile.target import Target, target_of
from slipstream_operator.reconcile.traffic import Traffic, traffic_of
from slipstream_operator.reconcile.variants import Choice, Switching
from slipstream_operator.reconcile.verdict import Verdict
from slipstream_operator.scaling.model import Decision, State
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Plan:
    """What should be, the memory for the next plan, and the scaling decision behind it where there was one."""

    desired: Desired
    memory: Memory
    decision: Decision | None
    traffic: Traffic


@dataclass(frozen=True)
class _Sized:
    """How many replicas, of which variant, and what to remember of both."""

    decision: Decision
    choice: Choice
    scaling: State
    switching: Switching


def plan(observation: Observation, memory: Memory, tuning: Tuning, now: float, timestamp: str) -> Plan:
    """Return the plan for `observation` at the time `now` (seconds), which `timestamp` writes in RFC 3339."""
    memory = memory.after(observation, now)
    target, sized = target_of(observation), None
    if target.summary is not None:
        sized = _size(observation, target.summary, memory, tuning, now)
        memory = replace(memory, scaling=sized.scaling, switching=sized.switching)
    traffic = traffic_of(memory.window, observation, tuning, now)
    verdict = Verdict(
        target=target,
        decision=sized.decision if sized else None,
        choice=sized.choice if sized else None,
        strategy=rollout.strategy(observation, sized.decision.replicas if sized else 0, tuning),
        traffic=traffic,
        kept=_kept(observation, target, timestamp),
    )
    found = judge(observation, verdict, tuning)
    desired = Desired(
        build=build_to_run(observation),
        serving=_serving(observation, verdict),
        status=status_of(observation, verdict, found, timestamp),
        events=news(observation, verdict, found),
        revisions=verdict.kept,
    )
    return Plan(desired, memory, verdict.decision, traffic)


def build_to_run(observation: Observation) -> Recipe | None:
    """Return the recipe whose build should run; an ended build is not begun again for the same recipe.

    A pinned revision needs none, so that it also serves when the source is gone.
    """
    if observation.spec.rollout.revision is not None:
        return None
    return observation.spec.recipe if observation.build.phase in ("Absent", "Running") else None


def _size(observation: Observation, summary: BuildSummary, memory: Memory, tuning: Tuning, now: float) -> _Sized:
    present = variants.current(observation, summary)
    past = Past(memory.window, memory.scaling, memory.start_seconds)
    decision, scaling = size(observation, summary, present, past, tuning, now)
    choice, switching = variants.choose(observation, summary, decision, scaling, memory.switching, tuning, now)
    return _Sized(_held(observation, decision, choice), choice, scaling, switching)


def _held(observation: Observation, decision: Decision, choice: Choice) -> Decision:
    """Return the decision, without scaling in while a faster variant stands in: the preferred one will need them."""
    before = observation.served.replicas if observation.served else 0
    if not choice.reason or decision.replicas >= before:
        return decision
    bounded = min(before, observation.spec.scaling.max_replicas)
    return replace(decision, replicas=bounded, reason=f"holding {bounded}: {choice.reason}")


def _proven(observation: Observation, verdict: Verdict) -> bool:
    replicas = observation.replicas
    return bool(replicas) and all(r.ready and r.current for r in replicas) and not verdict.target.reverted


def _kept(observation: Observation, target: Target, timestamp: str) -> tuple[Revision, ...]:
    answers = any(replica.ready and replica.current and replica.stored for replica in observation.replicas)
    if target.summary is None or not answers:
        return observation.revisions
    return revisions.remember(observation.revisions, target.summary, timestamp)


def _serving(observation: Observation, verdict: Verdict) -> DesiredServing | None:
    if verdict.target.summary is None or verdict.decision is None or verdict.choice is None:
        return None
    return DesiredServing(
        verdict.target.summary,
        verdict.decision.replicas,
        verdict.choice.name,
        verdict.strategy,
        rollout.must_revert(observation),
        verdict.target.reverted,
        _proven(observation, verdict),
    )
