"""The view for logs and pipes: one line a piece of news, and a line of figures every few seconds."""

from collections.abc import Callable

from slipstream_operator.local.frame import Frame

FIGURES_EVERY_SECONDS = 5.0


class LineView:
    """Prints what changed since the frame before."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._steps: set[tuple[str, str]] = set()
        self._figures_at = 0.0

    def __enter__(self) -> "LineView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, frame: Frame) -> None:
        """Print the news of one moment."""
        for progress in frame.progress:
            if (step := (progress.step, progress.message)) not in self._steps:
                self._steps.add(step)
                self._line(frame, f"build    {progress.step:<16} {progress.fraction:>4.0%}  {progress.message}")
        for event in frame.plan.desired.events:
            if event.reason != "Building":
                self._line(frame, f"{event.type.lower():<8} {event.reason:<16} {event.message}")
        if frame.observation.served and frame.elapsed - self._figures_at >= FIGURES_EVERY_SECONDS:
            self._figures_at = frame.elapsed
            self._line(frame, f"serving  {_figures(frame)}")

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self._write(text)

    def _line(self, frame: Frame, text: str) -> None:
        self._write(f"{frame.elapsed:6.1f}s  {text}")


def _figures(frame: Frame) -> str:
    status = frame.plan.desired.status
    performance, wanted = status["performance"], status.get("scaling", {}).get("desiredReplicas", 0)
    parts = [f"replicas {status['readyReplicas']}/{wanted}"]
    if "p99" in performance:
        parts.append(f"{performance['requestsPerSecond']} requests/s")
        parts.append(f"p50 {performance['p50']}  p99 {performance['p99']}  ({performance['objective']})")
        parts.append(f"utilisation {performance['utilization']}")
    if frame.phase:
        parts.append(frame.phase)
    return "  ".join(parts)
