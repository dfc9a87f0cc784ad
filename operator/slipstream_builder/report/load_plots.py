"""The figures of a load run: replicas, latency and load over time, on one time axis."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slipstream_builder.report import canvas
from slipstream_contract.load import LoadReport


def load_over_time(load: LoadReport) -> str | None:
    """Return three panels over the seconds of the load, or None when no second was recorded."""
    if not load.seconds:
        return None
    with canvas.settings():
        figure = Figure(figsize=(8.6, 7.0), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
        for axes in panels:
            canvas.style(axes)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            for event in load.events:
                axes.axvline(event.second, color=canvas.LINE, linewidth=1.0)
        _load(panels[0], load)
        _latency(panels[1], load)
        _replicas(panels[2], load)
        for axes in panels:
            axes.set_ylim(bottom=0)
            legend = axes.legend(frameon=False, loc="upper right", ncols=3, fontsize=9)
            for text in legend.get_texts():
                text.set_color(canvas.INK)
        panels[-1].set_xlabel("seconds")
        return canvas.svg(figure, "load", "Offered and answered load, latency and replicas over time")


def _load(axes: Axes, load: LoadReport) -> None:
    seconds = [entry.second for entry in load.seconds]
    axes.fill_between(seconds, [entry.offered for entry in load.seconds], color=canvas.IDLE, alpha=0.25, linewidth=0)
    axes.plot(seconds, [entry.offered for entry in load.seconds], color=canvas.IDLE, linewidth=1.2, label="offered")
    axes.plot(seconds, [entry.answered for entry in load.seconds], color=canvas.ACCENT, linewidth=1.8, label="answered")
    lost = [entry.rejected + entry.failed for entry in load.seconds]
    if any(lost):
        axes.plot(seconds, lost, color=canvas.BAD, linewidth=1.4, label="refused or failed")
    axes.set_ylabel("requests a second")
    axes.margins(x=0.01, y=0.25)


def _latency(axes: Axes, load: LoadReport) -> None:
    answered = [entry for entry in load.seconds if entry.answered]
    seconds = [entry.second for entry in answered]
    axes.plot(seconds, [entry.p99_milliseconds for entry in answered], color=canvas.WARM, linewidth=1.8, label="p99")
    axes.plot(seconds, [entry.p50_milliseconds for entry in answered], color=canvas.ACCENT, linewidth=1.2, label="p50")
    axes.axhline(
        load.objective_milliseconds,
        color=canvas.BAD,
        linewidth=1.1,
        linestyle=(0, (5, 3)),
        label=f"objective, p{load.percentile:g} {load.objective_milliseconds} ms",
    )
    axes.set_ylabel("milliseconds")
    axes.margins(y=0.3)


def _replicas(axes: Axes, load: LoadReport) -> None:
    seconds = [entry.second for entry in load.replicas]
    ready, desired = [entry.ready for entry in load.replicas], [entry.desired for entry in load.replicas]
    if seconds:
        axes.fill_between(seconds, ready, step="post", color=canvas.ACCENT, alpha=0.2, linewidth=0)
        axes.step(seconds, ready, where="post", color=canvas.ACCENT, linewidth=1.8, label="ready")
        axes.step(
            seconds, desired, where="post", color=canvas.WARM, linewidth=1.4, linestyle=(0, (4, 2)), label="desired"
        )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("replicas")
    axes.margins(y=0.35)
