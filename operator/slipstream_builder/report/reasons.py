"""The report's words: what holds the model back, operator by operator, what was planned, asked, and chosen, and why."""

from html import escape

from slipstream_builder import words
from slipstream_builder.gate.isolation import ISOLATION_TOLERANCE
from slipstream_builder.measuring.operators import OperatorShare
from slipstream_builder.outcome import BuildReport

_KINDS = {
    "transformer": "a transformer",
    "recurrent": "a recurrent network",
    "convolutional": "a convolutional network",
    "dense": "a dense network",
    "other": "a network of no kind that plans differ for",
}


def bottleneck(report: BuildReport) -> str:
    """Return the section on the original: evidence, operators, and the plan that follows."""
    return (
        f"<h2>What holds it back</h2><p>{_sentence(report.analysis.evidence)}</p>"
        f"{_operators(report.analysis.operators)}"
        f"<h2>What was tried, and why</h2><p>The model is {_KINDS[report.analysis.kind]}. {_sentence(report.plan)}</p>"
    )


def gate(report: BuildReport) -> str:
    """Return what every candidate had to pass, and how the one that serves was chosen."""
    asked = [
        "<b>isolation</b>: no batchmate, however hostile, may move a row's result by more than "
        f"{ISOLATION_TOLERANCE:g} of its size",
        "<b>benefit</b>: faster than the optimised original beyond noise, or smaller by more than it is slower",
    ]
    if report.gate is not None:
        asked.insert(
            0,
            f"<b>accuracy</b>: with {report.gate.confidence:.0%} confidence at most {report.gate.max_drop:.2%} of "
            f"{escape(report.gate.metric)} lost against the source, on the same {words.count(report.gate.items)} "
            f"{'episodes' if report.gate.metric == 'return' else 'items'}",
        )
        slices = report.recipe.validation.max_slice_drop if report.recipe.validation else None
        if slices is not None:
            asked.insert(1, f"<b>slices</b>: on each slice of the data at most {slices:.2%} lost")
    return (
        f"<h2>What had to be passed</h2><ul>{''.join(f'<li>{text}</li>' for text in asked)}</ul>"
        f"<p>Of those that passed, the fastest at batch {report.compared_batch} serves: {escape(report.choice)}.</p>"
    )


def _operators(shares: tuple[OperatorShare, ...]) -> str:
    if not shares:
        return ""
    rows = "".join(
        f"<tr><th>{escape(share.operator)}</th><td class=number>{share.nodes}</td>"
        f"<td class=number>{share.share:.1%}</td>"
        f'<td class=bar><span style="width:{max(100 * share.share, 0.3):.1f}%"></span></td></tr>'
        for share in shares
    )
    return (
        "<div class=scroll><table class=operators><thead><tr><th>operator</th><th class=number>nodes</th>"
        f"<th class=number>share of the time</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        "<p class=muted>Measured by ONNX Runtime's profiler on batches of 32, after its own fusions.</p>"
    )


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:]) + "."
