"""The scaling decision: pure, explained, and remembered only in the state it returns.

Gather once (`observe`), learn (`learning`), find what is needed (`demand`), and then bound it: first by named checks,
any of which may forbid scaling in, then by the policy's stabilisation and rate, last by minimum and maximum.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from slipstream_operator.scaling import reasons
from slipstream_operator.scaling.capacity import Capacity
from slipstream_operator.scaling.demand import Need, is_panic, is_violated, need
from slipstream_operator.scaling.learning import Experience, calibrated, learn
from slipstream_operator.scaling.model import Decision, Evidence, Policy, Replica, State
from slipstream_operator.scaling.observe import Observation, observe
from slipstream_operator.scaling.policy import limit_rate, remember, remember_change, settles_in, stabilise
from slipstream_operator.scaling.samples import Window


@dataclass(frozen=True)
class _Case:
    """All that one decision looks at."""

    now: float
    seen: Observation
    capacity: Capacity
    policy: Policy
    current: int
    state: State


def decide(
    now: float,
    window: Window,
    capacity: Capacity,
    policy: Policy,
    replicas: tuple[Replica, ...],
    current: int,
    state: State,
) -> tuple[Decision, State]:
    """Return how many replicas to have, and the state for the next call.

    Args:
        now: seconds, on the clock of the samples and of the replicas' `started_at`.
        window: the samples of the replicas.
        capacity: what one replica is made of, and the objective.
        policy: bounds and behavior.
        replicas: those that exist, ready or not.
        current: how many were ordered so far, which may be more or less than exist.
        state: what the last call returned; `State()` after a restart, which never scales in at once.
    """
    seen = observe(now, window, replicas, policy, capacity.percentile)
    case = _Case(now, seen, capacity, policy, current, _resumed(now, current, policy, state))
    bounded = min(max(current, policy.min_replicas), policy.max_replicas)
    if bounded != current:
        which = "minimum" if bounded > current else "maximum"
        return _held(case, bounded, f"{reasons.change(current, bounded)}: the {which} is {bounded}")
    if (why := _blind(case)) is not None:
        return _held(case, current, f"holding {current}: {why}")
    return _judged(_experienced(case))


def _resumed(now: float, current: int, policy: Policy, state: State) -> State:
    """Return the state with what changed since: the count, and a clock that may have gone back."""
    first = state.replicas is None
    change = 0 if state.replicas is None else current - state.replicas
    history = state.recommendations
    return dataclasses.replace(
        state,
        replicas=current,
        recommendations=remember(now, current, history, policy.behavior) if first else history,
        events=remember_change(now, change, state.events, policy.behavior),
        panic_until=None if state.panic_until is None else min(state.panic_until, now + policy.tuning.panic_seconds),
        violated_since=None if state.violated_since is None else min(state.violated_since, now),
    )


def _blind(case: _Case) -> str | None:
    """Return why nothing can be judged, or None."""
    seen, tuning = case.seen, case.policy.tuning
    if seen.ready == 0:
        return f"no replica is ready yet, {seen.starting} starting"
    if seen.reporting == 0:
        since = case.state.data_at if seen.newest_at is None else seen.newest_at
        return "no metrics yet" if since is None else f"no metrics for {reasons.span(case.now - since)}"
    if seen.covered_seconds < tuning.minimum_seconds:
        known, wanted = reasons.span(seen.covered_seconds), reasons.span(tuning.minimum_seconds)
        return f"metrics cover {known} so far, {wanted} are needed"
    return None


def _held(case: _Case, count: int, reason: str) -> tuple[Decision, State]:
    """Return a decision that needs no metrics; it counts as a recommendation, so that scaling in waits anew."""
    state, seen = case.state, case.seen
    evidence = Evidence(
        forecast=state.demand,
        correction=state.correction,
        needed=count,
        ready=seen.ready,
        starting=seen.starting,
        reporting=seen.reporting,
    )
    history = remember(case.now, count, state.recommendations, case.policy.behavior)
    return Decision(count, reason, evidence), dataclasses.replace(state, recommendations=history, violated_since=None)


def _experienced(case: _Case) -> _Case:
    """Return the case with the model corrected, and with violation and panic noted."""
    seen, tuning = case.seen, case.policy.tuning
    known = calibrated(case.capacity, seen.recent, case.state, tuning)
    state = learn(case.now, known, Experience(seen.recent, seen.latency_recent), case.state, tuning)
    capacity = calibrated(case.capacity, seen.recent, state, tuning)
    since = case.now if state.violated_since is None else state.violated_since
    panic = is_panic(seen, capacity, case.policy)
    state = dataclasses.replace(
        state,
        violated_since=since if is_violated(seen, capacity) else None,
        panic_until=case.now + tuning.panic_seconds if panic else state.panic_until,
        data_at=seen.newest_at,
        demand=seen.demand,
    )
    return dataclasses.replace(case, capacity=capacity, state=state)


def _judged(case: _Case) -> tuple[Decision, State]:
    policy, current = case.policy, case.current
    needed = need(case.now, case.seen, case.capacity, policy, current, case.state)
    wanted = needed.replicas if needed.replicas >= current else min(current, needed.smaller)
    target = min(max(wanted, policy.min_replicas), policy.max_replicas)
    veto = _veto(case, needed) if target < current else None
    if veto is not None:
        target = current
    history = remember(case.now, target, case.state.recommendations, policy.behavior)
    stable = stabilise(case.now, current, target, history, policy.behavior)
    count = limit_rate(case.now, current, stable, case.state.events, policy.behavior)
    notes = (
        veto or _trouble_note(case, needed),
        _bound_note(case, needed, wanted),
        _delay_note(case, target, stable, count),
    )
    reason = "; ".join((f"{reasons.change(current, count)}: {needed.why}", *(note for note in notes if note)))
    state = dataclasses.replace(case.state, recommendations=history)
    return Decision(count, reason, _evidence(case, needed)), state


def _unheard(case: _Case, _: Need) -> str | None:
    silent = case.seen.ready - case.seen.reporting
    return f"not scaling in without metrics from {silent} of {case.seen.ready} ready replicas" if silent else None


def _panic(case: _Case, needed: Need) -> str | None:
    left = (case.state.panic_until or 0.0) - case.now
    return f"not scaling in for {reasons.span(left)} after a surge" if needed.panicking else None


def _violation(case: _Case, needed: Need) -> str | None:
    if not needed.violated or not needed.attainable:
        return None
    return f"not scaling in while p{case.capacity.percentile:g} is {reasons.time(case.seen.latency or 0.0)}"


def _rejection(case: _Case, _: Need) -> str | None:
    return "not scaling in while requests are rejected" if case.seen.rejected > 0 else None


_VETOES: tuple[Callable[[_Case, Need], str | None], ...] = (_unheard, _panic, _violation, _rejection)
"""What forbids scaling in, in the order in which it is told."""


def _veto(case: _Case, needed: Need) -> str | None:
    return next((why for check in _VETOES if (why := check(case, needed)) is not None), None)


def _bound_note(case: _Case, needed: Need, wanted: int) -> str | None:
    if wanted > case.policy.max_replicas:
        return f"overloaded at the maximum of {case.policy.max_replicas}"
    if needed.replicas < case.policy.min_replicas:
        return f"the minimum is {case.policy.min_replicas}"
    if wanted > needed.replicas and wanted == case.current:
        return f"one fewer would leave less than {reasons.percent(case.policy.tuning.scale_in_margin)} to spare"
    return None


def _delay_note(case: _Case, target: int, stable: int, count: int) -> str | None:
    behavior = case.policy.behavior
    if stable != target:
        if target > case.current:
            return "scaling out waits for its stabilisation window"
        left = settles_in(case.now, target, case.state.recommendations, behavior)
        return f"scaling in to {target} in {reasons.span(left)} if nothing more comes"
    if count != stable:
        return f"the rate allowed by the behavior stops at {count}"
    return None


def _trouble_note(case: _Case, needed: Need) -> str | None:
    """Return what a person should know although it changes nothing: lateness that no replica would mend, starters."""
    seen = case.seen
    late_anyway = needed.violated and needed.attainable and needed.replicas <= case.current
    if late_anyway and seen.starting == 0 and seen.warm >= case.current:
        latency, busy = reasons.time(seen.latency or 0.0), reasons.percent(seen.recent.utilization)
        return f"p{case.capacity.percentile:g} is {latency} although the replicas are only {busy} busy"
    if seen.starting and needed.replicas >= case.current:
        return f"{reasons.replicas(seen.starting)} starting"
    return None


def _evidence(case: _Case, needed: Need) -> Evidence:
    seen = case.seen
    return Evidence(
        demand=seen.demand,
        forecast=needed.planned,
        sustainable_rate=needed.sustainable,
        replica_rate=needed.replica_rate,
        correction=case.state.correction,
        needed=needed.replicas,
        ready=seen.ready,
        starting=seen.starting,
        reporting=seen.reporting,
        latency_seconds=seen.latency,
        rejected_share=seen.rejected_share,
        utilization=seen.recent.utilization,
        mean_batch=seen.recent.mean_batch,
        cache_hit_ratio=seen.recent.cache_hit_ratio,
        panicking=needed.panicking,
        violated=needed.violated,
        overloaded=needed.replicas > case.policy.max_replicas,
        attainable=needed.attainable,
    )
