"""The figures of a build: accuracy against latency, and latency against batch size."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport, Outcome
from slipstream_builder.report import canvas, labels

_COLOURS = {"kept": canvas.GOOD, "passed": canvas.GOOD, "failed": canvas.BAD, "skipped": canvas.IDLE}

_POINTS_AN_INCH = 72.0
_LETTER = 5.6


def accuracy_against_latency(report: BuildReport) -> str | None:
    """Return the loss of every measured candidate over its latency at batch 32, with the allowed loss as a line."""
    drawn = [outcome for outcome in report.candidates if outcome.drop is not None and outcome.latency is not None]
    if report.gate is None or not drawn:
        return None
    with canvas.settings():
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        canvas.style(axes)
        axes.axhline(report.gate.max_drop, color=canvas.BAD, linewidth=1.1, linestyle=(0, (5, 3)))
        axes.annotate(
            f"allowed: {report.gate.max_drop:.2%}",
            (1, report.gate.max_drop),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=canvas.BAD,
            fontsize=9,
        )
        axes.axhline(0, color=canvas.MUTED, linewidth=0.8)
        _frontier(axes, drawn)
        for outcome in drawn:
            _point(axes, outcome, chosen=outcome.name == report.chosen)
        _frame_losses(axes, drawn, report.gate.max_drop)
        axes.set_xscale("log")
        axes.margins(x=0.16)
        axes.xaxis.set_major_formatter(FuncFormatter(_duration))
        axes.xaxis.set_minor_formatter(FuncFormatter(_duration))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(_ticks([_seconds(outcome) for outcome in drawn]))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axes.set_xlabel(f"latency of a batch of {SERVED_BATCH} (faster to the left)")
        axes.set_ylabel(f"relative loss of {report.gate.metric}")
        figure.draw_without_rendering()
        _name(axes, drawn, report.chosen)
        return canvas.svg(figure, "accuracy", "Loss of the metric against latency for every candidate")


def latency_against_batch(report: BuildReport) -> str:
    """Return the latency of every kept variant over the batch size, measured points on the fitted line."""
    with canvas.settings():
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        canvas.style(axes)
        kept = [outcome for outcome in report.candidates if outcome.status == "kept" and outcome.latency is not None]
        for colour, outcome in zip(canvas.SERIES, kept, strict=False):
            _curve(axes, outcome, colour, chosen=outcome.name == report.chosen)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(_duration))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(_ticks([seconds for outcome in kept for _, seconds in _points(outcome)]))
        axes.set_xlabel("rows in a batch")
        axes.set_ylabel("latency of the batch")
        legend = axes.legend(frameon=False, loc="upper left")
        for text in legend.get_texts():
            text.set_color(canvas.INK)
        return canvas.svg(figure, "latency", "Latency against batch size for every kept variant")


def _point(axes: Axes, outcome: Outcome, *, chosen: bool) -> None:
    drop, bound = outcome.drop or 0.0, outcome.drop_bound
    colour, seconds = _COLOURS[outcome.status], _seconds(outcome)
    if bound is not None:
        axes.plot([seconds, seconds], [drop, bound], color=colour, linewidth=1.6, alpha=0.75)
        axes.plot([seconds], [bound], marker="_", color=colour, markersize=11, markeredgewidth=1.8)
    axes.plot([seconds], [drop], marker="o", markersize=8, color=colour, markeredgecolor=canvas.CARD)
    if chosen:
        axes.plot([seconds], [drop], marker="o", markersize=16, markerfacecolor="none", markeredgecolor=colour)


def _frontier(axes: Axes, drawn: list[Outcome]) -> None:
    """Join the kept variants from fast to slow: what no other candidate beats in everything."""
    kept = sorted((_seconds(outcome), outcome.drop or 0.0) for outcome in drawn if outcome.status == "kept")
    axes.plot(*zip(*kept, strict=True), color=canvas.GOOD, linewidth=1.0, alpha=0.5, linestyle=(0, (2, 3)))


def _name(axes: Axes, drawn: list[Outcome], chosen: str) -> None:
    """Write each point's name beside it; the axes must have their final limits."""
    scale = _POINTS_AN_INCH / axes.figure.dpi
    low, top = _frame(axes)
    points = [
        tuple(scale * axes.transData.transform((_seconds(outcome), min(max(outcome.drop or 0.0, low), top))))
        for outcome in drawn
    ]
    names = [f"{outcome.name} (chosen)" if outcome.name == chosen else outcome.name for outcome in drawn]
    right = scale * axes.transAxes.transform((1.0, 0.0))[0]
    offsets = labels.places(points, [_LETTER * len(name) for name in names], right)
    for outcome, name, offset in zip(drawn, names, offsets, strict=True):
        axes.annotate(
            name,
            (_seconds(outcome), min(max(outcome.drop or 0.0, low), top)),
            xytext=offset,
            textcoords="offset points",
            color=canvas.INK,
            fontsize=9.5,
            fontweight="bold" if outcome.name == chosen else "normal",
        )


def _frame(axes: Axes) -> tuple[float, float]:
    low, top = axes.get_ylim()
    return float(low), float(top)


def _curve(axes: Axes, outcome: Outcome, colour: str, *, chosen: bool) -> None:
    curve = outcome.latency
    if curve is None:
        return
    batches = [batch for batch, _ in curve.points]
    axes.plot(
        batches, [curve.seconds(batch) for batch in batches], color=colour, linewidth=2.4 if chosen else 1.2, alpha=0.8
    )
    label = f"{outcome.name} (chosen)" if chosen else outcome.name
    axes.plot(*zip(*curve.points, strict=True), "o", color=colour, markeredgecolor=canvas.CARD, label=label)


def _frame_losses(axes: Axes, drawn: list[Outcome], allowed: float) -> None:
    """Keep one ruined candidate from flattening all others: what lies far beyond the allowed loss is cut off."""
    highest = max(outcome.drop_bound or outcome.drop or 0.0 for outcome in drawn)
    lowest = min(outcome.drop or 0.0 for outcome in drawn)
    top = max(min(highest, 6 * allowed), 1.5 * allowed)
    axes.set_ylim(min(lowest, 0) - 0.25 * allowed, top + 0.25 * allowed)


def _points(outcome: Outcome) -> tuple[tuple[int, float], ...]:
    return outcome.latency.points if outcome.latency else ()


def _seconds(outcome: Outcome) -> float:
    return outcome.latency.measured_seconds(SERVED_BATCH) if outcome.latency else 0.0


def _ticks(values: list[float]) -> list[float]:
    """Return round values (1, 2, 5 times powers of ten) that span `values`."""
    steps = [mantissa * 10.0**power for power in range(-7, 3) for mantissa in (1, 2, 5)]
    low, high = min(values) / 2.0, max(values) * 2.0
    return [step for step in steps if low <= step <= high]


def _duration(seconds: float, _position: int | None = None) -> str:
    if seconds >= 1:
        return f"{seconds:g} s"
    return f"{seconds * 1e3:g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:g} µs"
