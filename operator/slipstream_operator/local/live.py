"""The live view of a terminal: the build's steps, then the replicas, the figures and the last decisions."""

from collections import deque
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from slipstream_contract.progress import Progress
from slipstream_operator.local.frame import Frame

HISTORY_SECONDS = 60
LONG_SECONDS = 120
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
        parts = [_building(frame)] if not frame.observation.served else [self._serving_panel(frame)]
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
        rows.add_row("call", Text(frame.call))
        title = f"slipstream  {frame.observation.spec.name}  {frame.elapsed:.0f} s  {frame.phase}"
        return Panel(rows, title=title, title_align="left", subtitle=frame.observation.endpoint, border_style="cyan")


def _building(frame: Frame) -> RenderableType:
    observation = frame.observation
    return build_panel(observation.spec.name, frame.elapsed, frame.progress, observation.build.message)


class BuildView:
    """Redraws the steps of a build that runs alone."""

    def __init__(self, console: Console, name: str) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=False)
        self._name = name

    def __enter__(self) -> "BuildView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show_progress(self, elapsed: float, progress: Iterable[Progress]) -> None:
        """Draw where the build stands."""
        self._live.update(build_panel(self._name, elapsed, list(progress), "starting the builder"))


def build_panel(name: str, elapsed: float, progress: Sequence[Progress], otherwise: str) -> RenderableType:
    """Return the table of the build's steps, the last message of each; `otherwise` where there is none yet.

    Steps keep the order in which they began: candidates that are built side by side report in turns.
    """
    table = Table.grid(padding=(0, 2))
    for step in {step.step: step for step in progress}.values():
        table.add_row(*_step_row(step))
    if not progress:
        table.add_row("", "", otherwise)
    title = f"slipstream  {name}  building  {elapsed:.0f} s{remaining(progress[-1:])}"
    return Panel(table, title=title, title_align="left", border_style="cyan")


def remaining(latest: Sequence[Progress]) -> str:
    """Return the builder's estimate of the time its candidates will still take, or nothing."""
    seconds = [step.remaining_seconds for step in latest if step.remaining_seconds]
    if not seconds:
        return ""
    return (
        f", about {seconds[0]:.0f} s left" if seconds[0] < LONG_SECONDS else f", about {seconds[0] / 60:.0f} min left"
    )


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
