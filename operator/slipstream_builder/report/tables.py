"""The report's tables: before against after, and every candidate with its verdict."""

from html import escape

from slipstream_builder import words
from slipstream_builder.gate.verdicts import Verdict
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport, Outcome
from slipstream_contract.load import LoadReport, ServingMeasurement

_BADGES = {
    "kept": ("good", "kept"),
    "passed": ("good", "passed"),
    "failed": ("bad", "refused"),
    "skipped": ("idle", "left out"),
}
_NONE = '<span class="idle">-</span>'


def before_after(report: BuildReport, load: LoadReport | None) -> str:
    """Return the table that sets the optimised original beside the chosen variant."""
    before, after = report.candidate(report.baseline), report.candidate(report.chosen)
    rows = [*_build_rows(report, before, after), *(_load_rows(load) if load else [])]
    body = "".join(
        f"<tr><th>{label}</th><td class=number>{left}</td><td class=number>{right}</td>"
        f"<td class=number>{effect}</td></tr>"
        for label, left, right, effect in rows
    )
    return (
        "<div class=scroll><table><thead><tr><th></th>"
        f"<th class=number>before: {escape(before.name)}</th><th class=number>after: {escape(after.name)}</th>"
        f"<th class=number>effect</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def candidates(report: BuildReport) -> str:
    """Return the table of every candidate with its figures, verdict and reason."""
    body = "".join(_candidate(report, outcome) for outcome in report.candidates)
    metric = escape(report.gate.metric) if report.gate else "metric"
    return (
        "<div class=scroll><table><thead><tr><th>candidate</th><th>verdict</th><th class=number>size</th>"
        f"<th class=number>{metric} lost<br>(at most)</th><th class=number>batch of {SERVED_BATCH}</th>"
        f"<th>why</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _build_rows(report: BuildReport, before: Outcome, after: Outcome) -> list[tuple[str, str, str, str]]:
    small, large = before.bytes or 0, after.bytes or 0
    ratio = large / small if small else 1.0
    rows = [("size", words.size(small), words.size(large), f"C = P'/P = {ratio:.3f}")]
    if before.parameters and after.parameters:
        kept = f"{after.parameters / before.parameters:.0%} kept"
        rows.append(("parameters", words.count(before.parameters), words.count(after.parameters), kept))
    if report.gate and report.source_metric and after.metric and after.drop is not None:
        rows.append(
            (
                f"{escape(report.gate.metric)}<small>source against variant, 95 % intervals, "
                f"{words.count(report.gate.items)} items</small>",
                _interval(report.source_metric.value, report.source_metric.low, report.source_metric.high),
                _interval(after.metric.value, after.metric.low, after.metric.high),
                words.change(after.drop),
            )
        )
    for batch in (1, SERVED_BATCH):
        if before.latency and after.latency:
            old, new = before.latency.measured_seconds(batch), after.latency.measured_seconds(batch)
            rows.append((f"T({batch})", words.duration(old), words.duration(new), words.speed(old, new)))
    return rows


def _load_rows(load: LoadReport) -> list[tuple[str, str, str, str]]:
    old, new = load.before, load.after
    return [
        _served("throughput T = N/t", old, new, f"{new.requests_per_second / old.requests_per_second:.1f}x"),
        _latency("p50, served", old.p50_milliseconds, new.p50_milliseconds),
        _latency("p99, served", old.p99_milliseconds, new.p99_milliseconds),
        ("utilisation of the replica", f"{old.utilization:.0%}", f"{new.utilization:.0%}", ""),
    ]


def _served(label: str, old: ServingMeasurement, new: ServingMeasurement, effect: str) -> tuple[str, str, str, str]:
    return (
        label,
        *(
            f"{words.count(round(side.requests_per_second))} requests/s"
            f"<small>{words.count(side.requests)} in {side.seconds:.1f} s</small>"
            for side in (old, new)
        ),
        effect,
    )  # type: ignore[return-value]


def _latency(label: str, old: float, new: float) -> tuple[str, str, str, str]:
    return label, words.duration(old / 1e3), words.duration(new / 1e3), words.speed(old, new) if new > 0 else ""


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.4f}<small>{low:.4f} to {high:.4f}</small>"


def _candidate(report: BuildReport, outcome: Outcome) -> str:
    colour, badge = _BADGES[outcome.status]
    chosen = outcome.name == report.chosen
    mark = "chosen" if chosen else badge
    return (
        f"<tr{' class=chosen' if chosen else ''}><th>{escape(outcome.name)}"
        f"<small>{'<br>'.join(map(escape, outcome.techniques))}</small></th>"
        f'<td><span class="badge {colour}">{mark}</span></td>'
        f"<td class=number>{words.size(outcome.bytes) if outcome.bytes else _NONE}</td>"
        f"<td class=number>{_loss(outcome)}</td><td class=number>{_speed(outcome)}</td>"
        f"<td class=why>{_why(outcome)}</td></tr>"
    )


def _loss(outcome: Outcome) -> str:
    if outcome.drop is None:
        return _NONE
    bound = f"<small>{outcome.drop_bound:.2%}</small>" if outcome.drop_bound is not None else ""
    return f"{words.percent(outcome.drop)}{bound}"


def _speed(outcome: Outcome) -> str:
    if outcome.latency is None:
        return _NONE
    ratio = "".join(
        f"<small>{1 / timing.ratio:.1f}x</small>" for timing in outcome.timings if timing.batch == SERVED_BATCH
    )
    return words.duration(outcome.latency.measured_seconds(SERVED_BATCH)) + ratio


def _why(outcome: Outcome) -> str:
    if not outcome.verdicts:
        return escape(outcome.reason)
    return "".join(_verdict(verdict) for verdict in outcome.verdicts)


def _verdict(verdict: Verdict) -> str:
    colour, mark = ("good", "✓") if verdict.passed else ("bad", "✗")
    return f"<small><span class={colour}>{mark}</span> <b>{verdict.name}</b>: {escape(verdict.reason)}</small>"
