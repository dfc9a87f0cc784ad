"""The view for logs and pipes: one line a piece of news, and a line of figures every few seconds."""

from collections.abc import Callable, Iterable

from slipstream_contract.progress import Progress
from slipstream_operator.local.frame import Frame

FIGURES_EVERY_SECONDS = 5.0
QUARTERS = 4


class LineView:
    """Prints what changed since the frame before."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: set[tuple[str, int]] = set()
        self._figures_at = 0.0
        self._called = False

    def __enter__(self) -> "LineView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, frame: Frame) -> None:
        """Print the news of one moment."""
        self.show_progress(frame.elapsed, frame.progress)
        for event in frame.plan.desired.events:
            if event.reason != "Building":
                self._line(frame, f"{event.type.lower():<8} {event.reason:<16} {event.message}")
        if frame.observation.served and not self._called:
            self._called = True
            self._line(frame, f"call     {frame.call}")
        if frame.observation.served and frame.elapsed - self._figures_at >= FIGURES_EVERY_SECONDS:
            self._figures_at = frame.elapsed
            self._line(frame, f"serving  {_figures(frame)}")

    def show_progress(self, elapsed: float, progress: Iterable[Progress]) -> None:
        """Print a step of the build when it begins, at each further quarter, and when it is done."""
        for step in progress:
            quarter = (step.step, int(step.fraction * QUARTERS))
            if quarter not in self._shown:
                self._shown.add(quarter)
                left = f" (about {step.remaining_seconds:.0f} s left)" if step.remaining_seconds else ""
                self._write(f"{elapsed:6.1f}s  build    {step.step:<24} {step.fraction:>4.0%}  {step.message}{left}")

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
