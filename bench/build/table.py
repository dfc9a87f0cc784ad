"""Writes the results as the table of docs/benchmarks.md, pure."""

from bench.build import cases, verdict
from bench.build.results import CaseResult, Entry, Results

_COLUMNS = ("", "faster, batch 32", "faster, batch 1", "smaller", "metric", "loss, 95 % bound", "gates")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"


def render(results: Results) -> str:
    """Return the results as Markdown: a table a model, and the machine below each when it changes."""
    parts: list[str] = []
    for case in cases.CASES:
        result = results.case(case.name)
        if result is not None:
            parts += [_heading(case, result), _table(result), _cost(case, result)]
    machines = dict.fromkeys(f"Machine: {result.machine.words()}" for result in results.cases)
    return "\n\n".join([*parts, *machines])


def _heading(case: cases.Case, result: CaseResult) -> str:
    times = ", ".join(f"{ms:.2f} ms at batch {batch}" for batch, ms in result.original_milliseconds.items())
    return (
        f"### {case.title}\n\nOptimised original: {result.original_bytes / 1e6:.1f} MB, {times}, "
        f"{case.metric} {result.metric:.4f} on {result.items} items. Measured {result.day}."
    )


def _table(result: CaseResult) -> str:
    return "\n".join([_HEAD, *(_row(result, entry) for entry in result.entries)])


def _row(result: CaseResult, entry: Entry) -> str:
    name = f"**{entry.name}** ({'; '.join(entry.techniques)})" if entry.techniques else entry.name
    if entry.bytes is None:
        return f"| {name} | - | - | - | - | - | {_cell(entry.reason)} |"
    drop = f"{entry.drop:.2%}, {entry.bound:.2%}" if entry.drop is not None and entry.bound is not None else "-"
    gates = "passed" if entry.passed else f"failed: {_cell(entry.reason)}"
    metric = f"{entry.metric:.4f}" if entry.metric is not None else "-"
    return (
        f"| {name} | {_speed(entry, cases.BATCH)} | {_speed(entry, 1)} | {verdict.shrink(result, entry):.2f}x "
        f"| {metric} | {drop} | {gates} |"
    )


def _speed(entry: Entry, batch: int) -> str:
    found = verdict.timing(entry, batch)
    return f"{1 / found.ratio:.2f}x ({1 / found.high:.2f} to {1 / found.low:.2f})" if found else "-"


def _cost(case: cases.Case, result: CaseResult) -> str:
    promised = f"at least {case.speed:g}x faster at batch 32 and {case.size:g}x smaller"
    missed = verdict.misses(case, result)
    met = "met" if not missed else f"missed: {_cell('; '.join(missed))}"
    return (
        f"Promised: {promised}; {met}. The whole `slipstream build` took {result.build_seconds:.0f} s and at most "
        f"{result.build_peak_bytes / 2**30:.2f} GiB (limit {verdict.memory_limit(result) / 2**30:.2f} GiB)."
    )


def _cell(text: str) -> str:
    return text.replace("|", "/")
