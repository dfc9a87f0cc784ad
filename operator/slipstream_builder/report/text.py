"""The report for a terminal: the headline, what held the original back, and a line for every candidate."""

from slipstream_builder import words
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport, Outcome
from slipstream_builder.summarise import headline, speedup_and_ratio

_VERDICTS = {"kept": "kept", "passed": "passed", "failed": "refused", "skipped": "left out"}
_NONE = "-"


def render(report: BuildReport) -> str:
    """Return the report as lines of plain text."""
    lines = [f"{report.name}: {headline(report, *speedup_and_ratio(report))}", ""]
    lines += [f"{report.analysis.bottleneck}-bound: {report.analysis.evidence}", f"plan: {report.plan}", ""]
    heads = ("candidate", "verdict", "size", "lost", f"batch of {SERVED_BATCH}")
    rows = [heads, *(_row(report, outcome) for outcome in report.candidates)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row, why in zip(rows, ["", *(_why(outcome) for outcome in report.candidates)], strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{cells}  {why}".rstrip())
    return "\n".join(lines)


def _row(report: BuildReport, outcome: Outcome) -> tuple[str, str, str, str, str]:
    return (
        outcome.name,
        "chosen" if outcome.name == report.chosen else _VERDICTS[outcome.status],
        words.size(outcome.bytes) if outcome.bytes else _NONE,
        _NONE if outcome.drop is None else words.percent(outcome.drop),
        words.duration(outcome.latency.measured_seconds(SERVED_BATCH)) if outcome.latency else _NONE,
    )


def _why(outcome: Outcome) -> str:
    return "" if outcome.status == "kept" else outcome.reason
