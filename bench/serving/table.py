"""The results as the tables of docs/benchmarks.md; pure."""

from bench.serving import promises
from bench.serving.contenders import OURS
from bench.serving.results import CaseResult, Figure, Results


def render(results: Results) -> str:
    """Return the results as Markdown: a table a case, and the machine below all."""
    cases = [_case(case) for name in promises.CASES if (case := results.case(name)) is not None]
    machines = dict.fromkeys(f"Machine: {case.machine.words()}" for case in results.cases)
    return "\n\n".join([*cases, *machines])


def _case(result: CaseResult) -> str:
    parts = [f"### {promises.TITLES[result.name]}", _table(result), _judged(result)]
    if result.failures:
        parts.append("Failed: " + "; ".join(f"{who}: {_cell(reason)}" for who, reason in result.failures.items()) + ".")
    noise = f"{result.steal:.1%} of the processors' time was stolen, load average {result.load:.1f} at the start"
    parts.append(f"Measured {result.day} in {result.seconds:.0f} s; {noise}.")
    return "\n\n".join(parts)


def _table(result: CaseResult) -> str:
    quantities = list(dict.fromkeys(figure.quantity for figure in result.figures))
    contenders = list(dict.fromkeys(figure.contender for figure in result.figures))
    contenders.sort(key=lambda name: name != OURS)
    head = ["", *quantities, *(["settings"] if result.settings else [])]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for contender in contenders:
        cells = [f"**{contender}**" if contender == OURS else contender]
        cells += [_figure(result.figure(contender, quantity)) for quantity in quantities]
        if result.settings:
            cells.append(_cell(result.settings.get(contender, "")))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    low, high = min(figure.rounds), max(figure.rounds)
    return _number(figure.median) + (f" ({_number(low)} to {_number(high)})" if high > low else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _judged(result: CaseResult) -> str:
    judged = [
        f"{promise.found(result)} (promised {promise.wanted()}: {'kept' if promise.kept(result) else 'missed'})"
        for promise in promises.of(result.name)
    ]
    return f"Judged, medians over the rounds: {'; '.join(judged)}."


def _cell(text: str) -> str:
    return text.replace("|", "/")
