"""The live view of a terminal: the build's steps, then the replicas, the figures and the last decisions."""

import itertools
from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from slipstream_contract.progress import Progress
from slipstream_operator.local.frame import Frame

HISTORY_SECONDS = 60
EVENTS = 6
_BARS = " ▁▂▃▄▅▆▇█"


class LiveView:
    """Redraws one screen region at every moment."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=False)
        self._p99: deque[float] = deque(maxlen=HISTORY_SECONDS)
        self._rate: deque[float] = deque(maxlen=HISTORY_SECONDS)
        self._events: deque[str] = deque(maxlen=EVENTS)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, frame: Frame) -> None:
        """Draw one moment."""
        self._remember(frame)
        parts = [build_panel(frame)] if not frame.observation.served else [self._serving_panel(frame)]
        if self._events:
            parts.append(Panel(Text("\n".join(self._events)), title="events", title_align="left", border_style="dim"))
        self._live.update(Group(*parts))

    def _remember(self, frame: Frame) -> None:
        for event in frame.plan.desired.events:
            if event.reason != "Building":
                self._events.append(f"{frame.elapsed:6.1f}s  {event.reason:<14} {event.message}")
        traffic = frame.plan.traffic
        self._rate.append(traffic.requests_per_second)
        self._p99.append((traffic.p99_seconds or 0.0) * 1000)

    def _serving_panel(self, frame: Frame) -> RenderableType:
        status, objective = frame.plan.desired.status, frame.observation.spec.objective
        performance, artifact = status["performance"], status.get("artifact", {})
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim")
        rows.add_column()
        rows.add_row("serving", f"[bold]{artifact.get('variant')}[/]  {_gain(artifact)}")
        rows.add_row("replicas", _replica_dots(frame))
        rows.add_row("requests/s", f"{performance.get('requestsPerSecond', '-'):>8}  {sparkline(self._rate)}")
        p99 = performance.get("p99", "-")
        bound = f"objective p{objective.percentile:g} <= {objective.latency_milliseconds} ms"
        rows.add_row("p99", f"{p99:>8}  {sparkline(self._p99, objective.latency_milliseconds)}  [dim]{bound}[/]")
        rows.add_row("p50", f"{performance.get('p50', '-'):>8}")
        rows.add_row("utilisation", f"{performance.get('utilization', '-'):>8}")
        rows.add_row("decision", status.get("scaling", {}).get("reason", ""))
        title = f"slipstream  {frame.observation.spec.name}  {frame.elapsed:.0f} s  {frame.phase}"
        return Panel(rows, title=title, title_align="left", subtitle=frame.observation.endpoint, border_style="cyan")


def build_panel(frame: Frame) -> RenderableType:
    """Return the table of the build's steps, the last message of each."""
    table = Table.grid(padding=(0, 2))
    for _step, group in itertools.groupby(frame.progress, key=lambda p: p.step):
        table.add_row(*_step_row(list(group)[-1]))
    if not frame.progress:
        table.add_row("", "", frame.observation.build.message)
    title = f"slipstream  {frame.observation.spec.name}  building  {frame.elapsed:.0f} s"
    return Panel(table, title=title, title_align="left", border_style="cyan")


def sparkline(values: "deque[float]", bound: float = 0.0) -> str:
    """Return `values` as a line of block characters, scaled to their maximum or to `bound` if that is more."""
    top = max([*values, bound]) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * (len(_BARS) - 1) + 0.5))] for value in values)


def _step_row(progress: Progress) -> tuple[RenderableType, RenderableType, RenderableType]:
    bar = ProgressBar(total=1.0, completed=progress.fraction, width=16)
    return Text(progress.step, style="bold"), bar, Text(progress.message)


def _gain(artifact: dict[str, str]) -> str:
    if "speedup" not in artifact:
        return ""
    return f"[dim]{artifact['speedup']} faster, C = {artifact.get('compressionRatio')}[/]"


def _replica_dots(frame: Frame) -> str:
    status = frame.plan.desired.status
    wanted = status.get("scaling", {}).get("desiredReplicas", 0)
    ready = status["readyReplicas"]
    starting = max(0, len(frame.observation.replicas) - ready)
    return f"[green]{'●' * ready}[/][yellow]{'○' * starting}[/]  {ready} ready of {wanted} wanted"
