"""Measures what was built against the optimised original, while nothing else runs, and keeps and chooses by that."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from slipstream_builder import sessions
from slipstream_builder.gate import verdicts
from slipstream_builder.measuring import profile
from slipstream_builder.measuring.profile import Profile
from slipstream_builder.outcome import Outcome
from slipstream_builder.search import choice, plan
from slipstream_builder.search.bench import Bench
from slipstream_builder.search.families import Candidate
from slipstream_builder.search.original import Original
from slipstream_builder.search.schedule import Finished
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.configs import PruneWeights
from slipstream_contract.manifest import LatencyCurve

_MEASURED_BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class Kept:
    """A variant to package: what became of it, its model, a session on it, and its final latency curve."""

    outcome: Outcome
    model: bytes
    session: sessions.Session
    latency: LatencyCurve


@dataclass(frozen=True)
class Selection:
    """The variants to package (the optimised original first), the chosen one's name, and the batch they ran at."""

    kept: tuple[Kept, ...]
    chosen: str
    load: choice.Load


def judge(
    candidates: Sequence[Candidate], finished: Mapping[str, Finished], base: Original, bench: Bench
) -> list[Outcome]:
    """Return every candidate's outcome, with its benefit measured where it was built."""
    outcomes = []
    opened = bench.open(base.model)
    for place, candidate in enumerate(candidates):
        ended = finished[candidate.name]
        bench.reporter.step("measure", place / len(candidates), f"measuring {candidate.name} against the original")
        outcomes.append(_outcome(candidate, ended, base, opened, bench))
    if candidates:
        bench.reporter.step("measure", 1.0, f"{sum(o.status == 'passed' for o in outcomes)} passed every gate")
    return outcomes


def select(base: Original, outcomes: Sequence[Outcome], bench: Bench) -> Selection:
    """Measure what passed once more, all taking turns, then keep and choose by those figures."""
    passed = _shortlist([outcome for outcome in outcomes if outcome.status == "passed"])
    models = {plan.BASELINE: base.model}
    models |= {outcome.name: bench.workshop.cache.model(outcome.name) for outcome in passed}
    bench.reporter.step("select", 0.0, f"measuring {len(models)} variants side by side")
    opened = {name: bench.open(model) for name, model in models.items()}
    measured = profile.measure(opened, bench.rows, bench.timer)
    by_name = {outcome.name: outcome for outcome in (base.outcome, *passed)}
    load = choice.load_under(bench.recipe.objective, [measured.curve(name) for name in models])
    figures = {name: _figures(by_name[name], measured.curve(name), load.batch) for name in models}
    names = choice.keep(figures[plan.BASELINE], [figures[outcome.name] for outcome in passed])
    chosen = choice.choose([figures[name] for name in names])
    bench.reporter.step("select", 1.0, f"{chosen} is the fastest at batch {load.batch}: {load.reason}")
    kept = tuple(_kept(by_name[name], models[name], opened[name], measured) for name in names)
    return Selection(kept, chosen, load)


def _outcome(
    candidate: Candidate, ended: Finished, base: Original, original: sessions.Session, bench: Bench
) -> Outcome:
    outcome = Outcome(candidate.name, catalogue.labels(candidate.techniques), "failed", ended.reason)
    if ended.status == "skipped":
        return replace(outcome, status="skipped")
    if ended.record is None or ended.record.judgement is None:
        return outcome
    judged = ended.record.judgement
    model = bench.workshop.cache.model(candidate.name)
    measured = profile.measure(
        {candidate.name: bench.open(model), plan.BASELINE: original},
        bench.rows,
        bench.timer,
        _MEASURED_BATCHES,
    )
    timings = measured.timings(candidate.name, plan.BASELINE)
    benefit = verdicts.judge_benefit(timings, len(model), len(base.model), _compressed(candidate, model, base.model))
    found = (*judged.verdicts, benefit)
    failed = [verdict for verdict in found if not verdict.passed]
    return replace(
        outcome,
        status="failed" if failed else "passed",
        reason="; ".join(f"{verdict.name}: {verdict.reason}" for verdict in failed) or "passed every gate",
        verdicts=found,
        sha256=ended.record.sha256,
        bytes=judged.bytes,
        parameters=judged.parameters,
        metric=judged.metric,
        drop=judged.drop,
        drop_bound=judged.drop_bound,
        latency=measured.curve(candidate.name),
        timings=timings,
        build_seconds=ended.record.seconds,
    )


def _compressed(candidate: Candidate, model: bytes, baseline: bytes) -> tuple[int, int] | None:
    """Return the sizes of both when compressed, for a candidate whose zeros show only so."""
    if not any(isinstance(technique, PruneWeights) for technique in candidate.techniques):
        return None
    return len(zlib.compress(model, 1)), len(zlib.compress(baseline, 1))


def _shortlist(passed: Sequence[Outcome]) -> list[Outcome]:
    """Return what to measure side by side: few enough to take turns, the fastest and the smallest of many."""
    limit = 2 * choice.MAX_KEPT
    if len(passed) <= limit:
        return list(passed)
    by_speed = sorted(passed, key=lambda outcome: (min(timing.ratio for timing in outcome.timings), outcome.name))
    smallest = min(passed, key=lambda outcome: (outcome.bytes or 0, outcome.name))
    names = {outcome.name for outcome in (smallest, *by_speed[: limit - 1])}
    return [outcome for outcome in passed if outcome.name in names]


def _kept(outcome: Outcome, model: bytes, session: sessions.Session, measured: Profile) -> Kept:
    curve = measured.curve(outcome.name)
    return Kept(replace(outcome, status="kept", latency=curve), model, session, curve)


def _figures(outcome: Outcome, curve: LatencyCurve, batch: int) -> choice.Figures:
    return choice.Figures(outcome.name, outcome.drop or 0.0, curve.measured_seconds(batch), outcome.bytes or 0)
