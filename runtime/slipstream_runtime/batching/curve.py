"""The batch latency T(b) = alpha + beta * b, refitted while serving. Pure."""

from dataclasses import dataclass

FORGETTING = 0.98
"""Each batch weighs this much less than the one after it: about the last 50 batches count."""

ANCHOR_WEIGHT = 0.05
"""Weight of the two points taken from the start; they keep the slope known when all batches are of one size."""

OUTLIER = 4.0
"""A batch slower than this many times its prediction was descheduled; it counts as only this slow."""


@dataclass(frozen=True)
class Line:
    """A latency line in seconds."""

    alpha: float
    beta: float

    def seconds(self, rows: float) -> float:
        """Return the predicted seconds of a batch of `rows`."""
        return self.alpha + self.beta * rows


@dataclass(slots=True)
class _Sums:
    weight: float = 0.0
    rows: float = 0.0
    squares: float = 0.0
    seconds: float = 0.0
    products: float = 0.0

    def add(self, rows: float, seconds: float, weight: float = 1.0) -> None:
        self.weight += weight
        self.rows += weight * rows
        self.squares += weight * rows * rows
        self.seconds += weight * seconds
        self.products += weight * rows * seconds

    def fade(self, factor: float) -> None:
        self.weight *= factor
        self.rows *= factor
        self.squares *= factor
        self.seconds *= factor
        self.products *= factor


class RefittedCurve:
    """An exponentially forgetting least-squares line through the observed batches."""

    def __init__(self, start: Line, largest: int) -> None:
        self.line = start
        self._anchors = ((1, start.seconds(1)), (max(2, largest), start.seconds(max(2, largest))))
        self._sums = _Sums()

    def observe(self, rows: int, seconds: float) -> None:
        """Take one batch into account."""
        bounded = min(seconds, OUTLIER * max(self.line.seconds(rows), 1e-6))
        self._sums.fade(FORGETTING)
        self._sums.add(rows, bounded)
        self.line = self._fit()

    def _fit(self) -> Line:
        sums = self._sums
        total = _Sums(sums.weight, sums.rows, sums.squares, sums.seconds, sums.products)
        for rows, seconds in self._anchors:
            total.add(rows, seconds, ANCHOR_WEIGHT)
        spread = total.weight * total.squares - total.rows * total.rows
        beta = (total.weight * total.products - total.rows * total.seconds) / spread
        return _clamped(beta, total.rows / total.weight, total.seconds / total.weight)


def fit_line(points: tuple[tuple[int, float], ...]) -> Line:
    """Return the least-squares line through `points`, both coefficients non-negative."""
    sums = _Sums()
    for rows, seconds in points:
        sums.add(rows, seconds)
    spread = sums.weight * sums.squares - sums.rows * sums.rows
    beta = (sums.weight * sums.products - sums.rows * sums.seconds) / spread if spread else 0.0
    return _clamped(beta, sums.rows / sums.weight, sums.seconds / sums.weight)


def _clamped(beta: float, mean_rows: float, mean_seconds: float) -> Line:
    """Keep the line through the means, with a slope that leaves neither coefficient negative."""
    beta = min(max(beta, 0.0), mean_seconds / mean_rows)
    return Line(max(0.0, mean_seconds - beta * mean_rows), beta)
